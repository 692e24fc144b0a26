import { Button, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useAction } from "../../api/changes";
import { api, type Schemas, told } from "../../api/client";
import { type AgentDetail, controlsQuery } from "../../api/queries";
import { AIM, place } from "../../lib/words";
import { Card } from "../Card";
import { Confirm } from "../Confirm";
import { When } from "../figures";
import { OrderButton } from "../OrderButton";
import { Loading, Refused } from "../states";
import { isBarred, WhyNot } from "../WhyNot";
import type { Target } from "./Panel";
import { Preview } from "./Preview";
import { usePreview } from "./SwitchDialog";

/** A move that waits for a person's word. */
export function Approval({ agent }: { agent: AgentDetail }) {
  return agent.awaitingDecisionId === null ? null : (
    <Waiting key={agent.awaitingDecisionId} agent={agent} decisionId={agent.awaitingDecisionId} />
  );
}

function Waiting({ agent, decisionId }: { agent: AgentDetail; decisionId: string }) {
  const agentId = agent.id;
  const params = { path: { decisionId } };
  const { data: decision } = useQuery({
    queryKey: ["agent", agentId, "decision", decisionId],
    queryFn: () => told(api.GET("/api/client/decisions/{decisionId}", { params })),
  });
  const { data: controls } = useQuery(controlsQuery(agentId));
  const [reason, setReason] = useState("");
  const [isAsking, setAsking] = useState(false);
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
        <Button onClick={() => setAsking(true)} disabled={isBarred(controls?.approve)}>
          Approve the move…
        </Button>
        <OrderButton variant="default" onClick={() => reject.mutate()} isPending={reject.isPending}>
          Reject
        </OrderButton>
      </div>
      <WhyNot control={controls?.approve} what="Not to be approved now" />
      <Refused error={reject.error} what="Not rejected" />
      <Confirm
        title={`Move to ${place(decision.targetMode, decision.targetPoolId)}`}
        action="Approve it"
        isOpen={isAsking}
        isPending={approve.isPending}
        isReady={!isBarred(controls?.approve)}
        error={approve.error}
        onClose={() => setAsking(false)}
        onConfirm={() => approve.mutate(undefined, { onSuccess: () => setAsking(false) })}
      >
        <WhyNot control={controls?.approve} what="Not to be approved now" />
        {agent.instanceId !== null && (
          <Numbers
            instanceId={agent.instanceId}
            target={targetOf(decision)}
            isAsking={isAsking && !approve.isPending}
          />
        )}
      </Confirm>
    </Card>
  );
}

/** The move's consequences; where they cannot be told, why. */
function Numbers(props: { instanceId: string; target: Target; isAsking: boolean }) {
  const preview = usePreview(props.instanceId, props.target, props.isAsking);
  return (
    <>
      {preview.isPending && <Loading />}
      <Refused error={preview.error} what="Its numbers cannot be told now" />
      {preview.isSuccess && <Preview move={preview.data} />}
    </>
  );
}

const targetOf = ({ targetMode, targetPoolId }: Schemas["DecisionState"]): Target =>
  targetMode === "spot" && targetPoolId !== null
    ? { target: "pool", poolId: targetPoolId }
    : { target: "ondemand" };
