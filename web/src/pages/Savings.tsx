import { Button, NativeSelect, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { Schemas } from "../api/client";
import { type SavingsAsked, savingsQuery } from "../api/queries";
import { dayAfter, span } from "../lib/time";
import { Card } from "../parts/Card";
import { Facts } from "../parts/Facts";
import { Percent, Usd } from "../parts/figures";
import { Loading, Refused } from "../parts/states";
import { type Column, Table } from "../parts/Table";

type Group = SavingsAsked["group"];

const GROUPS: Record<Group, string> = { day: "by day (UTC)", agent: "by agent", pool: "by pool" };

export function Savings() {
  const [group, setGroup] = useState<Group>("day");
  const [from, setFrom] = useState("");
  const [to, setTo] = useState("");
  const asked: SavingsAsked = {
    group,
    ...(from && { from: instant(from) }),
    ...(to && { to: instant(dayAfter(to)) }),
  };
  const { data, error } = useQuery(savingsQuery(asked));
  return (
    <>
      <title>Savings · SpotGuard</title>
      <h1>Savings</h1>
      <p className="dim">
        Metered from the running seconds of every instance, standbys and double running included; the newest
        minutes follow with the next settling.
      </p>
      <search className="row filters">
        <TextInput
          type="date"
          label="From (UTC)"
          value={from}
          onChange={(event) => setFrom(event.currentTarget.value)}
        />
        <TextInput
          type="date"
          label="To, that day too (UTC)"
          value={to}
          onChange={(event) => setTo(event.currentTarget.value)}
        />
        <NativeSelect
          label="Shown"
          value={group}
          onChange={(event) => setGroup(event.currentTarget.value as Group)}
          data={Object.entries(GROUPS).map(([value, label]) => ({ value, label }))}
        />
        <Button
          component="a"
          href={`/api/client/savings.csv?${new URLSearchParams(asked)}`}
          download
          variant="default"
        >
          Export as CSV
        </Button>
      </search>
      <Refused error={error} what="Savings could not be read" />
      {data === undefined ? error === null && <Loading /> : <Told savings={data} group={group} />}
    </>
  );
}

const instant = (day: string) => `${day}T00:00:00Z`;

const COLUMNS: readonly Column<Schemas["SpendingGroup"]>[] = [
  { head: "On demand", isNumber: true, cell: (one) => <Usd of={one.onDemandUsd} places={2} /> },
  { head: "Compute", isNumber: true, cell: (one) => <Usd of={one.computeUsd} places={2} /> },
  { head: "Replicas", isNumber: true, cell: (one) => <Usd of={one.replicaUsd} places={2} /> },
  { head: "Double running", isNumber: true, cell: (one) => <Usd of={one.overlapUsd} places={2} /> },
  { head: "Probes", isNumber: true, cell: (one) => <Usd of={one.probeUsd} places={2} /> },
  { head: "Disks", isNumber: true, cell: (one) => <Usd of={one.storageUsd} places={2} /> },
  { head: "Waived by AWS", isNumber: true, cell: (one) => <Usd of={one.waivedUsd} places={2} /> },
  { head: "Saved", isNumber: true, cell: (one) => <Usd of={one.savedUsd} places={2} /> },
  { head: "Saved, %", isNumber: true, cell: (one) => <Percent of={one.savedPercent} /> },
];

function Told({ savings, group }: { savings: Schemas["Savings"]; group: Group }) {
  const title = group[0]?.toUpperCase() + group.slice(1);
  return (
    <>
      <Card title="All of it">
        <Facts
          of={[
            ["On demand", <Usd key="a" of={savings.onDemandUsd} places={2} />],
            ["Compute", <Usd key="b" of={savings.computeUsd} places={2} />],
            ["Replicas", <Usd key="c" of={savings.replicaUsd} places={2} />],
            ["Double running", <Usd key="d" of={savings.overlapUsd} places={2} />],
            ["Probes", <Usd key="p" of={savings.probeUsd} places={2} />],
            ["Disks", <Usd key="e" of={savings.storageUsd} places={2} />],
            ["Waived by AWS", <Usd key="f" of={savings.waivedUsd} places={2} />],
            [
              "Saved",
              <strong key="g">
                <Usd of={savings.savedUsd} places={2} />
              </strong>,
            ],
            [
              "Saved, share",
              <strong key="h">
                <Percent of={savings.savedPercent} />
              </strong>,
            ],
          ]}
        />
        {savings.unpricedSeconds > 0 && (
          <p className="reason">
            {span(savings.unpricedSeconds)} of instances whose price nobody knew then are in no sum.
          </p>
        )}
      </Card>
      <Card title={`Each ${group}`}>
        <Table
          label={`Savings ${GROUPS[group]}`}
          rows={savings.groups}
          keyOf={(one) => one.key ?? "none"}
          columns={[{ head: title, cell: (one) => one.label ?? one.key ?? "none" }, ...COLUMNS]}
          empty="Nothing is metered in this span."
        />
      </Card>
    </>
  );
}
