import { useQuery } from "@tanstack/react-query";
import { agentSwitchesQuery, decisionsQuery, eventsQuery } from "../../api/queries";
import { AIM, place, VERDICT } from "../../lib/words";
import { Card } from "../Card";
import { When } from "../figures";
import { MoveLine } from "../MoveLine";
import { Refused } from "../states";
import { Table } from "../Table";
import { Tag } from "../Tag";

const SHOWN = 20;

/** What a list leaves out is told: the whole of it is the API's. */
function Newest({ of }: { of: number | undefined }) {
  return of !== undefined && of > SHOWN && <p className="dim">{`The newest ${SHOWN}.`}</p>;
}

export function Moves({ agentId }: { agentId: string }) {
  const { data, error } = useQuery(agentSwitchesQuery(agentId));
  return (
    <Card title="Switches">
      <Refused error={error} what="Switches could not be read" />
      {data?.items.length === 0 && <p className="dim">It was never moved.</p>}
      {data?.items.slice(0, SHOWN).map((move, index) => (
        <MoveLine key={move.id} move={move} isOpen={index === 0} />
      ))}
      <Newest of={data?.items.length} />
    </Card>
  );
}

export function Decisions({ agentId }: { agentId: string }) {
  const { data, error } = useQuery(decisionsQuery(agentId));
  return (
    <Card title="Decisions">
      <Refused error={error} what="Decisions could not be read" />
      <Table
        label="Decisions"
        rows={data?.items.slice(0, SHOWN) ?? []}
        keyOf={(one) => one.id}
        empty={data === undefined ? "" : "Nothing was decided yet."}
        columns={[
          { head: "When", cell: (one) => <When at={one.decidedAt} /> },
          { head: "Verdict", cell: (one) => <Tag word={VERDICT[one.verdict]} title={one.policy} /> },
          {
            head: "Target",
            cell: (one) =>
              one.targetMode === null
                ? "–"
                : `${place(one.targetMode, one.targetPoolId)}${one.aim === null ? "" : `, ${AIM[one.aim]}`}`,
          },
          { head: "Because", cell: (one) => <span className="reason">{one.because}</span> },
        ]}
      />
      <Newest of={data?.items.length} />
    </Card>
  );
}

export function Events({ agentId }: { agentId: string }) {
  const { data, error } = useQuery(eventsQuery(agentId));
  return (
    <Card title="Events">
      <Refused error={error} what="Events could not be read" />
      <Table
        label="Events"
        rows={data?.items.slice(0, SHOWN) ?? []}
        keyOf={(one) => String(one.id)}
        empty={data === undefined ? "" : "Nothing has happened yet."}
        columns={[
          { head: "When", cell: (one) => <When at={one.at} /> },
          { head: "What", cell: (one) => one.message },
        ]}
      />
      <Newest of={data?.items.length} />
    </Card>
  );
}
