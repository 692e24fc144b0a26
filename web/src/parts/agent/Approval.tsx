import { Button, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useAction } from "../../api/changes";
import { api, told } from "../../api/client";
import { type AgentDetail, controlsQuery } from "../../api/queries";
import { AIM, place } from "../../lib/words";
import { Card } from "../Card";
import { When } from "../figures";
import { Refused } from "../states";
import { isBarred, WhyNot } from "../WhyNot";

/** A move that waits for a person's word. */
export function Approval({ agent }: { agent: AgentDetail }) {
  return agent.awaitingDecisionId === null ? null : (
    <Waiting agentId={agent.id} decisionId={agent.awaitingDecisionId} />
  );
}

function Waiting({ agentId, decisionId }: { agentId: string; decisionId: string }) {
  const params = { path: { decisionId } };
  const { data: decision } = useQuery({
    queryKey: ["agent", agentId, "decision", decisionId],
    queryFn: () => told(api.GET("/api/client/decisions/{decisionId}", { params })),
  });
  const { data: controls } = useQuery(controlsQuery(agentId));
  const [reason, setReason] = useState("");
  const approve = useAction(agentId, () =>
    told(api.POST("/api/client/decisions/{decisionId}/approve", { params })),
  );
  const reject = useAction(agentId, () =>
    told(
      api.POST("/api/client/decisions/{decisionId}/reject", {
        params,
        body: reason.trim() === "" ? {} : { reason: reason.trim() },
      }),
    ),
  );
  if (decision === undefined) return null;
  return (
    <Card title="A move awaits your word">
      <p>
        To <strong>{place(decision.targetMode, decision.targetPoolId)}</strong>
        {decision.aim !== null && ` ${AIM[decision.aim]}`}: {decision.because}
      </p>
      <p className="reason">
        Proposed <When at={decision.decidedAt} />; stands until <When at={decision.expiresAt} />.
      </p>
      <div className="row filters">
        <TextInput
          label="Reason, if you say no"
          value={reason}
          onChange={(event) => setReason(event.currentTarget.value)}
        />
        <Button
          onClick={() => approve.mutate()}
          loading={approve.isPending}
          disabled={isBarred(controls?.approve)}
        >
          Approve the move
        </Button>
        <Button variant="default" onClick={() => reject.mutate()} loading={reject.isPending}>
          Reject
        </Button>
      </div>
      <WhyNot control={controls?.approve} what="Not to be approved now" />
      <Refused error={approve.error ?? reject.error} />
    </Card>
  );
}
