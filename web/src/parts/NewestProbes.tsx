import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { Schemas } from "../api/client";
import { probesQuery } from "../api/queries";
import { isNothing } from "../lib/money";
import { PROBE_STATUS, type Word } from "../lib/words";
import { Card } from "./Card";
import { Usd, When } from "./figures";
import { Pager, usePages } from "./Pager";
import { Loading, Refused } from "./states";
import { type Column, Table } from "./Table";
import { Tag } from "./Tag";

type Probe = Schemas["ProbeState"];

const COLUMNS: readonly Column<Probe>[] = [
  { head: "When", cell: (one) => <When at={one.createdAt} /> },
  { head: "Pool", cell: (one) => <span className="mono">{one.poolId}</span> },
  {
    head: "Answer",
    cell: (one) => (
      <div>
        <Tag word={seen(one)} /> <div className="reason">{one.answer}</div>
      </div>
    ),
  },
  { head: "Cost", isNumber: true, cell: (one) => <Usd of={one.usd} places={5} /> },
  { head: "$/h", isNumber: true, cell: (one) => <Usd of={one.usdPerHour} /> },
  { head: "Bought because", cell: (one) => <span className="reason">{one.because}</span> },
  { head: "State", cell: (one) => <Tag word={PROBE_STATUS[one.status]} /> },
  { head: "Ended", cell: (one) => <When at={one.completedAt} never="not yet" /> },
  {
    head: "For",
    cell: (one) => (
      <Link
        to="/agents/$agentId"
        params={{ agentId: one.agentId }}
        aria-label={`Its agent, of the probe ${one.id}`}
      >
        Its agent
      </Link>
    ),
  },
];

/** Whether the pool gave capacity; unknown where nobody knows, and not yet known while EC2 is asked. */
function seen({ up, status }: Probe): Word {
  if (up === true) return { text: "capacity", tone: "good" };
  if (up === false) return { text: "no capacity", tone: "warn" };
  return status === "waiting" ? { text: "not yet known", tone: "info" } : { text: "unknown", tone: "calm" };
}

export function NewestProbes() {
  const pages = usePages();
  const { data, error } = useQuery(probesQuery(pages.cursor));
  return (
    <Card title="Newest probes">
      <Refused error={error} what="Probes could not be read" />
      {data === undefined ? (
        error === null && <Loading />
      ) : (
        <Table
          label="Newest probes"
          rows={data.items}
          keyOf={(one) => one.id}
          empty={emptyOf(data)}
          columns={COLUMNS}
        />
      )}
      <Pager pages={pages} next={data?.nextCursor ?? null} label="Pages of the probes" />
    </Card>
  );
}

const emptyOf = ({ usdPerDay }: Schemas["Probes"]) =>
  isNothing(usdPerDay)
    ? "None: no launch is made only to look."
    : "None yet: one is bought once knowing a pool is worth it and nothing real is in its way.";
