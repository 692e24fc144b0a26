import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useAction } from "../../api/changes";
import { api, told } from "../../api/client";
import {
  type AgentDetail,
  type Control,
  controlsQuery,
  type Replica,
  replicasQuery,
} from "../../api/queries";
import { span } from "../../lib/time";
import { REPLICA_STATUS, REPLICA_TYPE, SYNC_STATUS, standsIn } from "../../lib/words";
import { Card } from "../Card";
import { Confirm } from "../Confirm";
import { Usd, When } from "../figures";
import { OrderButton } from "../OrderButton";
import { Refused } from "../states";
import { Table } from "../Table";
import { Tag } from "../Tag";
import { isBarred, WhyNot } from "../WhyNot";

type Asked = { what: "promote" | "terminate"; replica: Replica };

export function Replicas({ agent }: { agent: AgentDetail }) {
  const { data, error } = useQuery(replicasQuery(agent.id));
  const { data: controls } = useQuery(controlsQuery(agent.id));
  const [asked, setAsked] = useState<Asked | null>(null);
  const askedOf = data?.items.find((one) => one.id === asked?.replica.id) ?? asked?.replica;
  const params = { path: { agentId: agent.id } };
  const create = useAction(agent.id, () =>
    told(api.POST("/api/client/agents/{agentId}/replicas", { params })),
  );
  return (
    <Card
      title="Replicas"
      aside={
        <OrderButton
          size="compact-sm"
          variant="default"
          isPending={create.isPending}
          disabled={isBarred(controls?.createReplica)}
          onClick={() => create.mutate()}
        >
          Create one now
        </OrderButton>
      }
    >
      <WhyNot control={controls?.createReplica} what="None can be created now" />
      <Refused error={create.error} what="None was created" />
      <Refused error={error} what="Replicas could not be read" />
      <Table
        label="Replicas"
        rows={data?.items ?? []}
        keyOf={(one) => one.id}
        empty={data === undefined ? "" : "There was none yet."}
        columns={[
          {
            head: "State",
            cell: (one) => (
              <>
                <Tag word={REPLICA_STATUS[one.status]} />{" "}
                {one.syncStatus !== null && one.isActive && <Tag word={SYNC_STATUS[one.syncStatus]} />}
              </>
            ),
          },
          { head: "Pool", cell: (one) => standsIn(one.mode, one.poolId) },
          {
            head: "Instance",
            cell: (one) => <span className="mono">{one.instanceId ?? "not named yet"}</span>,
          },
          { head: "State transfer", cell: (one) => <Progress of={one.stateTransferProgress} /> },
          {
            head: "Lag",
            isNumber: true,
            cell: (one) =>
              one.syncLatencyMs === null ? (one.isActive ? "unknown" : "–") : span(one.syncLatencyMs / 1000),
          },
          { head: "$/h", isNumber: true, cell: (one) => <Usd of={one.hourlyCost} /> },
          { head: "Created", cell: (one) => <When at={one.createdAt} /> },
          {
            head: "Ready",
            cell: (one) => <When at={one.readyAt} never={one.isActive ? "not yet" : "never"} />,
          },
          {
            head: "Why",
            cell: (one) => (
              <span className="reason">
                {REPLICA_TYPE[one.replicaType]}
                {one.because !== null && `: ${one.because}`}
              </span>
            ),
          },
          {
            head: "",
            cell: (one) =>
              one.isActive && <Actions replica={one} promote={controls?.promote[one.id]} onAsk={setAsked} />,
          },
        ]}
      />
      {asked !== null && askedOf !== undefined && (
        <Ask
          agentId={agent.id}
          what={asked.what}
          replica={askedOf}
          promote={controls?.promote[askedOf.id]}
          onClose={() => setAsked(null)}
        />
      )}
    </Card>
  );
}

function Progress({ of }: { of: number }) {
  return (
    <>
      {of} %
      <div className="bar" aria-hidden="true">
        <div style={{ width: `${of}%` }} />
      </div>
    </>
  );
}

function Actions(props: { replica: Replica; promote: Control | undefined; onAsk: (asked: Asked) => void }) {
  const { replica, promote, onAsk } = props;
  return (
    <span className="row">
      <Button
        size="compact-sm"
        disabled={isBarred(promote)}
        onClick={() => onAsk({ what: "promote", replica })}
      >
        Promote…
      </Button>
      <Button size="compact-sm" variant="default" onClick={() => onAsk({ what: "terminate", replica })}>
        Terminate…
      </Button>
      <WhyNot control={promote} what="Not to be promoted" />
    </span>
  );
}

/** Its numbers are those of now, however long it has been open. */
export function Ask(props: {
  agentId: string;
  what: Asked["what"];
  replica: Replica;
  promote: Control | undefined;
  onClose: () => void;
}) {
  const { agentId, replica, onClose } = props;
  const isPromotion = props.what === "promote";
  const act = useAction<unknown>(agentId, () =>
    isPromotion
      ? told(
          api.POST("/api/agents/{agent_id}/replicas/{replica_id}/promote", {
            params: { path: { agent_id: agentId, replica_id: replica.id } },
            body: {},
          }),
        )
      : told(
          api.DELETE("/api/client/agents/{agentId}/replicas/{replicaId}", {
            params: { path: { agentId, replicaId: replica.id } },
          }),
        ),
  );
  return (
    <Confirm
      title={isPromotion ? "Promote this standby" : "Terminate this standby"}
      action={isPromotion ? "Promote it" : "Terminate it"}
      isOpen
      isPending={act.isPending}
      isReady={replica.isActive && !(isPromotion && isBarred(props.promote))}
      error={act.error}
      onClose={onClose}
      onConfirm={() => act.mutate(undefined, { onSuccess: onClose })}
    >
      {!replica.isActive && <p className="notice">It stands by no more: it has become what is told here.</p>}
      {isPromotion && replica.isActive && <WhyNot control={props.promote} what="Not to be promoted now" />}
      <p>
        Instance <span className="mono">{replica.instanceId ?? "not named yet"}</span> in{" "}
        {standsIn(replica.mode, replica.poolId)}, <Usd of={replica.hourlyCost} /> an hour,{" "}
        {REPLICA_STATUS[replica.status].text}; {replica.stateTransferProgress} % of the state has reached it,
        lag {replica.syncLatencyMs === null ? "unknown" : span(replica.syncLatencyMs / 1000)}.
      </p>
      <p>
        {isPromotion
          ? "The workload stops on the present instance, the last delta travels, and it serves from the standby on. This is not undone by itself: until the present instance ends, after the waiting time, a move to its place goes back to it."
          : "Its machine and disks end and cannot be brought back. In manual mode another standby follows; until it is ready nothing stands by."}
      </p>
    </Confirm>
  );
}
