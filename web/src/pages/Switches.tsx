import { Button, NativeSelect, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { interruptionsQuery, type Switch, switchesQuery } from "../api/queries";
import { secondsBetween, span } from "../lib/time";
import { MOVE_KIND, means, place, SIGNAL, SIGNAL_ACTION, SWITCH_STATUS, TRIGGER } from "../lib/words";
import { AgentLink } from "../parts/AgentLink";
import { Card } from "../parts/Card";
import { When } from "../parts/figures";
import { Listing } from "../parts/Listing";
import { Downtime, SavedAnHour } from "../parts/MoveLine";
import { Pager, usePages } from "../parts/Pager";
import { Refused } from "../parts/states";
import { type Column, Table } from "../parts/Table";
import { Tag } from "../parts/Tag";

type Filters = { text: string; status: "" | Switch["status"]; trigger: "" | Switch["trigger"] };

const COLUMNS: readonly Column<Switch>[] = [
  { head: "When", cell: (one) => <When at={one.initiatedAt} /> },
  {
    head: "Agent",
    cell: (one) => <AgentLink id={one.agentId} name={one.logicalAgentId} />,
  },
  { head: "Trigger", cell: (one) => TRIGGER[one.trigger] },
  { head: "How", cell: (one) => <span title={means(one)}>{MOVE_KIND[one.kind].text}</span> },
  { head: "From", cell: (one) => place(one.oldMode, one.oldPoolId) },
  { head: "To", cell: (one) => place(one.newMode, one.newPoolId) },
  { head: "$/h saved", isNumber: true, cell: (one) => <SavedAnHour move={one} /> },
  { head: "Downtime", isNumber: true, cell: (one) => <Downtime move={one} /> },
  { head: "Took", isNumber: true, cell: took },
  {
    head: "State",
    cell: (one) => <Tag word={SWITCH_STATUS[one.status]} title={one.endedBecause ?? undefined} />,
  },
  {
    head: "",
    cell: (one) => (
      <Link to="/switches/$switchId" params={{ switchId: one.id }} aria-label={`Timeline of ${one.id}`}>
        Timeline
      </Link>
    ),
  },
];

function took(one: Switch) {
  return one.initiatedAt !== null && one.completedAt !== null
    ? span(Math.round(secondsBetween(one.initiatedAt, one.completedAt)))
    : "–";
}

export function Switches() {
  const pages = usePages();
  const [filters, setFilters] = useState<Filters>({ text: "", status: "", trigger: "" });
  return (
    <>
      <Listing
        title="Switches"
        heading="History"
        label="Switches"
        pages={pages}
        asked={useQuery(switchesQuery(pages.cursor))}
        passes={(one) => passes(one, filters)}
        keyOf={(one) => one.id}
        columns={COLUMNS}
        empty="No switch is here, or none of this page passes the filters."
        filters={<Bar filters={filters} onChange={setFilters} />}
      />
      <Interruptions />
    </>
  );
}

function Bar({ filters, onChange }: { filters: Filters; onChange: (filters: Filters) => void }) {
  return (
    <>
      <TextInput
        label="Search"
        placeholder="agent, pool, instance"
        value={filters.text}
        onChange={(event) => onChange({ ...filters, text: event.currentTarget.value })}
      />
      <NativeSelect
        label="State"
        value={filters.status}
        onChange={(event) => onChange({ ...filters, status: event.currentTarget.value as Filters["status"] })}
        data={[
          { value: "", label: "any" },
          ...Object.entries(SWITCH_STATUS).map(([value, word]) => ({ value, label: word.text })),
        ]}
      />
      <NativeSelect
        label="Trigger"
        value={filters.trigger}
        onChange={(event) =>
          onChange({ ...filters, trigger: event.currentTarget.value as Filters["trigger"] })
        }
        data={[
          { value: "", label: "any" },
          ...Object.entries(TRIGGER).map(([value, label]) => ({ value, label })),
        ]}
      />
      <Button component="a" href="/api/client/switches.csv" download variant="default">
        Export as CSV
      </Button>
    </>
  );
}

function passes(one: Switch, filters: Filters): boolean {
  if (filters.status !== "" && one.status !== filters.status) return false;
  if (filters.trigger !== "" && one.trigger !== filters.trigger) return false;
  const text = filters.text.trim().toLowerCase();
  const told = [
    one.logicalAgentId,
    one.oldPoolId,
    one.newPoolId,
    one.oldInstanceId,
    one.newInstanceId,
    one.id,
  ];
  return text === "" || told.some((each) => each?.toLowerCase().includes(text));
}

function Interruptions() {
  const pages = usePages();
  const { data, error } = useQuery(interruptionsQuery(pages.cursor));
  return (
    <Card title="Signals of AWS">
      <Refused error={error} what="Signals could not be read" />
      <Table
        label="Signals of AWS"
        rows={data?.items ?? []}
        keyOf={(one) => one.id}
        empty={data === undefined ? "" : "There was none yet."}
        columns={[
          { head: "When", cell: (one) => <When at={one.signalTime} /> },
          { head: "Agent", cell: (one) => one.logicalAgentId },
          { head: "Signal", cell: (one) => <Tag word={SIGNAL[one.signalType]} /> },
          { head: "Instance", cell: (one) => <span className="mono">{one.instanceId ?? "unknown"}</span> },
          { head: "Answer", cell: (one) => SIGNAL_ACTION[one.action] },
          { head: "Because", cell: (one) => <span className="reason">{one.because ?? ""}</span> },
          { head: "Failover complete", cell: (one) => <When at={one.failoverCompletedAt} never="none" /> },
        ]}
      />
      <Pager pages={pages} next={data?.nextCursor ?? null} label="Pages of the signals" />
    </Card>
  );
}
