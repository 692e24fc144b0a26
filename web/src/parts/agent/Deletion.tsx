import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useAction } from "../../api/changes";
import { api, type Schemas, told } from "../../api/client";
import { type AgentDetail, controlsQuery, deletionQuery } from "../../api/queries";
import { Card } from "../Card";
import { Confirm } from "../Confirm";
import { Facts } from "../Facts";
import { Usd } from "../figures";
import { Loading, Refused } from "../states";
import { type Column, Table } from "../Table";
import { isBarred, WhyNot } from "../WhyNot";

type Left = Schemas["LeftBehindState"];
type Told = Schemas["DeletionPreview"];

/** The end of an agent: what it would leave running and billed, and the order itself. */
export function Deletion({ agent }: { agent: AgentDetail }) {
  const { data: controls } = useQuery(controlsQuery(agent.id));
  const [isAsking, setAsking] = useState(false);
  return (
    <Card title="Delete">
      <p className="reason">
        SpotGuard guards and meters this workload no longer; what of it runs goes on. First it is shown what
        that is and costs.
      </p>
      <Button
        variant="outline"
        color="red"
        disabled={isBarred(controls?.delete)}
        onClick={() => setAsking(true)}
      >
        Delete this agent…
      </Button>
      <WhyNot control={controls?.delete} what="Not to be deleted now" />
      {isAsking && <Ask agent={agent} onClose={() => setAsking(false)} />}
    </Card>
  );
}

/** What of a deleted agent's goes on still, and how a person ends it. */
export function LeftBehind({ agent }: { agent: AgentDetail }) {
  const { data, error } = useQuery(deletionQuery(agent.id));
  return (
    <Card title="What still goes on">
      <Refused error={error} what="It could not be read" />
      {data === undefined ? error === null && <Loading /> : <Consequences of={data} isDone />}
    </Card>
  );
}

function Ask({ agent, onClose }: { agent: AgentDetail; onClose: () => void }) {
  const preview = useQuery({ ...deletionQuery(agent.id), retry: false, staleTime: 0, gcTime: 0 });
  const deed = useAction(agent.id, (asSeen: string) =>
    told(
      api.DELETE("/api/client/agents/{agentId}", {
        params: { path: { agentId: agent.id }, query: { asSeen } },
      }),
    ),
  );
  const shown = preview.data;
  return (
    <Confirm
      title={`Delete ${agent.logicalAgentId}`}
      action="Delete it"
      isOpen
      isPending={deed.isPending}
      isReady={preview.isSuccess}
      error={deed.error}
      onClose={onClose}
      onConfirm={() => shown !== undefined && deed.mutate(shown.asSeen, { onSuccess: onClose })}
    >
      <p>
        Nobody guards this workload any more: no hand-over after a notice, no standby, no switch. Its history
        stays, and its name cannot be used again. This is not undone.
      </p>
      {preview.isPending && <Loading />}
      <Refused error={preview.error} what="It cannot be deleted now" />
      {shown !== undefined && <Consequences of={shown} />}
    </Confirm>
  );
}

function Consequences({ of: { left, standbys, usdPerMonth }, isDone }: { of: Told; isDone?: boolean }) {
  const unknown = left.filter((one) => one.usdPerMonth === null).length;
  return (
    <>
      <Facts
        of={[
          ["Runs on, yours to end", `${left.length}`],
          [
            "Billed a month",
            <span key="m">
              <Usd of={usdPerMonth} places={2} />
              {unknown > 0 && `, and ${unknown} whose cost is unknown`}
            </span>,
          ],
          ...(isDone ? [] : [["Standbys that end", standbys.join(", ") || "none"] as const]),
        ]}
      />
      <Table
        label="What goes on"
        rows={left}
        keyOf={(one) => one.resourceId}
        empty="Nothing of it goes on."
        columns={COLUMNS}
      />
    </>
  );
}

const COLUMNS: readonly Column<Left>[] = [
  {
    head: "What",
    cell: (one) => (
      <>
        {one.kind} <span className="mono">{one.resourceId}</span>
      </>
    ),
  },
  { head: "Made by", cell: (one) => (one.madeBySpotguard ? "SpotGuard" : "its user") },
  { head: "$/month", isNumber: true, cell: (one) => <Usd of={one.usdPerMonth} places={2} /> },
  { head: "Then", cell: (one) => <span className="reason">{one.plan}</span> },
];
