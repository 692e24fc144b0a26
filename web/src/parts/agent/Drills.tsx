import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useAction } from "../../api/changes";
import { api, told } from "../../api/client";
import { type AgentDetail, controlsQuery, PREVIEW_MS, restorePointsQuery } from "../../api/queries";
import { span } from "../../lib/time";
import { place } from "../../lib/words";
import { Card } from "../Card";
import { Confirm } from "../Confirm";
import { Facts } from "../Facts";
import { Usd, When } from "../figures";
import { Loading, Refused } from "../states";
import { Table } from "../Table";
import { Tag } from "../Tag";
import { isBarred, WhyNot } from "../WhyNot";
import { Preview } from "./Preview";

type Kind = "failover" | "restore";

const RESTORE = "Boot the newest restore point";

function titleOf(kind: Kind, group: string | null): string {
  if (kind === "failover") return "Rehearse a failover, for real";
  return group === null ? `${RESTORE} beside who serves` : `${RESTORE} in quarantine`;
}

export function Drills({ agent }: { agent: AgentDetail }) {
  const [kind, setKind] = useState<Kind | null>(null);
  const points = useQuery(restorePointsQuery(agent.id));
  const { data: controls } = useQuery(controlsQuery(agent.id));
  const { lastDrill, restoreCertificate } = agent;
  return (
    <Card title="Proof that it comes back">
      <p>
        {restoreCertificate === null ? (
          "No restore point was ever proven."
        ) : (
          <>
            <Tag
              word={
                restoreCertificate.proven ? { text: "proven", tone: "good" } : { text: "failed", tone: "bad" }
              }
            />{" "}
            {restoreCertificate.text.replace(/^(proven|failed) /, "")}
          </>
        )}
      </p>
      <p>
        {lastDrill === null ? (
          "No failover was rehearsed."
        ) : (
          <>
            Failover drill <When at={lastDrill.at} />:{" "}
            <Tag
              word={lastDrill.passed ? { text: "passed", tone: "good" } : { text: "failed", tone: "bad" }}
            />{" "}
            {lastDrill.seconds !== null && `${span(lastDrill.seconds)} to the first healthy serving`}
            {lastDrill.outageSeconds !== null && `, ${span(lastDrill.outageSeconds)} without`}
            {!lastDrill.passed && lastDrill.because !== null && ` (${lastDrill.because})`}
          </>
        )}
      </p>
      <div className="row">
        <Button
          size="compact-sm"
          variant="default"
          disabled={isBarred(controls?.failoverDrill)}
          onClick={() => setKind("failover")}
        >
          Rehearse a failover…
        </Button>
        <Button
          size="compact-sm"
          variant="default"
          disabled={isBarred(controls?.restoreDrill)}
          onClick={() => setKind("restore")}
        >
          Rehearse a restore…
        </Button>
      </div>
      <WhyNot control={controls?.failoverDrill} what="No failover now" />
      <WhyNot control={controls?.restoreDrill} what="No restore now" />
      <p className="dim">{scheduleOf(agent.config)}</p>
      <h3>Restore points</h3>
      <Table
        label="Restore points"
        rows={points.data?.items ?? []}
        keyOf={(one) => one.imageId}
        empty={points.data === undefined ? "" : "There is none."}
        columns={[
          { head: "Image", cell: (one) => <span className="mono">{one.imageId}</span> },
          { head: "State", cell: (one) => one.state },
          { head: "Made", cell: (one) => <When at={one.madeAt} /> },
          { head: "Size", isNumber: true, cell: (one) => `${one.sizeGib} GiB` },
          { head: "$/month", isNumber: true, cell: (one) => <Usd of={one.monthlyUsd} places={2} /> },
        ]}
      />
      {kind !== null && <Ask agent={agent} kind={kind} onClose={() => setKind(null)} />}
    </Card>
  );
}

function scheduleOf(config: AgentDetail["config"]): string {
  if (config.restorePointHours === null)
    return "By schedule: none, since it has no hours between restore points.";
  if (config.restoreDrillDays === 0) return "By schedule: restore points alone, no restore drill.";
  if (config.quarantineGroup === null)
    return "By schedule: no restore drill before a security group for the clone is set (guard-rails).";
  return `By schedule: a restore drill every ${config.restoreDrillDays} d, in ${config.quarantineGroup}.`;
}

function Ask({ agent, kind, onClose }: { agent: AgentDetail; kind: Kind; onClose: () => void }) {
  const agentId = agent.id;
  const params = { path: { agentId } };
  const begin = useAction(agentId, () =>
    told(api.POST("/api/client/agents/{agentId}/drill", { params, body: { kind, dryRun: false } })),
  );
  const dry = useQuery({
    queryKey: ["agent", agentId, "drill", kind],
    queryFn: () =>
      told(api.POST("/api/client/agents/{agentId}/drill", { params, body: { kind, dryRun: true } })),
    retry: false,
    staleTime: 0,
    gcTime: 0,
    refetchInterval: PREVIEW_MS,
    enabled: begin.isIdle || begin.isError,
  });
  const restore = dry.data?.restore;
  const group = restore ? restore.quarantineGroup : agent.config.quarantineGroup;
  return (
    <Confirm
      title={titleOf(kind, group)}
      action="Begin"
      isOpen
      isPending={begin.isPending}
      isReady={dry.isSuccess}
      error={begin.error}
      onClose={onClose}
      onConfirm={() => begin.mutate(undefined, { onSuccess: onClose })}
    >
      {kind === "restore" && group === null && (
        <p className="notice">
          It is not in quarantine: no security group for the clone is set (guard-rails). It runs beside who
          serves, in its original&apos;s security groups, with all that is on the disk: mails, queues and jobs
          that the workload works off by itself go out from it too.
        </p>
      )}
      {dry.isPending && <Loading />}
      <Refused error={dry.error} what="Not possible now" />
      {dry.data?.move && <Preview move={dry.data.move} />}
      {restore && (
        <Facts
          of={[
            [
              "Image",
              <span key="i" className="mono">
                {restore.imageId}
              </span>,
            ],
            ["Its state is", `${span(Math.round(restore.stateAgeSeconds))} old`],
            ["Boots in", place(restore.mode, restore.pool)],
            ["Costs an hour", <Usd key="u" of={restore.usdPerHour} />],
            ["At the most", span(restore.mostSeconds)],
            ["Security group", restore.quarantineGroup ?? "its original's"],
          ]}
        />
      )}
    </Confirm>
  );
}
