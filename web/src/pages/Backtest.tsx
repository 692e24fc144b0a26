import { Button, NativeSelect, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { lazy, Suspense, useState } from "react";
import { backtestQuery } from "../api/backtest";
import type { Schemas } from "../api/client";
import { fleetQuery } from "../api/fleet";
import type { Agent } from "../api/queries";
import { span } from "../lib/time";
import { REPLAY_POLICY } from "../lib/words";
import { Card } from "../parts/Card";
import { Facts } from "../parts/Facts";
import { Percent, Usd, When } from "../parts/figures";
import { Loading, Refused } from "../parts/states";
import { type Column, Table } from "../parts/Table";

const CourseChart = lazy(() => import("../parts/CourseChart"));
const SPANS = ["7", "14", "30"];
const OFFERED = 50;

export function Backtest() {
  const { agent, days } = useSearch({ from: "/inside/backtest" });
  const fleet = useQuery(fleetQuery);
  const agents = fleet.data?.agents;
  return (
    <>
      <title>Backtest · SpotGuard</title>
      <h1>What would it have saved?</h1>
      <p className="dim">
        The last days of one agent, replayed on the prices that this server knows of its allowed pools, under
        each policy.
      </p>
      <Refused error={fleet.error} what="The fleet could not be read" />
      {agents === undefined ? (
        fleet.error === null && <Loading />
      ) : (
        <Ask key={`${agent} ${days}`} agents={agents} agentId={agent} days={days} />
      )}
      {agent !== undefined && <Answer agentId={agent} days={days} />}
    </>
  );
}

function Ask(props: { agents: readonly Agent[]; agentId: string | undefined; days: number }) {
  const { agents } = props;
  const navigate = useNavigate();
  const [name, setName] = useState(agents.find((one) => one.id === props.agentId)?.logicalAgentId ?? "");
  const [days, setDays] = useState(String(props.days));
  const wanted = agents.find((one) => one.logicalAgentId === name.trim());
  const near = agents.filter((one) => one.logicalAgentId.includes(name.trim())).slice(0, OFFERED);
  return (
    <form
      className="row filters"
      onSubmit={(event) => {
        event.preventDefault();
        if (wanted) void navigate({ to: "/backtest", search: { agent: wanted.id, days: Number(days) } });
      }}
    >
      <TextInput
        label="Agent"
        required
        list="agents-offered"
        value={name}
        error={name !== "" && wanted === undefined && near.length === 0 ? "no agent is called so" : null}
        onChange={(event) => setName(event.currentTarget.value)}
      />
      <datalist id="agents-offered">
        {near.map((one) => (
          <option key={one.id} value={one.logicalAgentId} />
        ))}
      </datalist>
      <NativeSelect
        label="Days"
        value={days}
        onChange={(event) => setDays(event.currentTarget.value)}
        data={SPANS}
      />
      <Button type="submit">Replay</Button>
    </form>
  );
}

function Answer({ agentId, days }: { agentId: string; days: number }) {
  const { data, error, isFetching } = useQuery(backtestQuery(agentId, days));
  return (
    <>
      <Refused error={error} what="It could not be replayed" />
      {isFetching && <Loading />}
      {data !== undefined && <Told backtest={data} />}
    </>
  );
}

type Course = Schemas["PolicyCourse"];

const COLUMNS: readonly Column<Course>[] = [
  {
    head: "Policy",
    cell: (one) => (
      <span>
        {one.policy === "engine" ? (
          <strong>{REPLAY_POLICY[one.policy].text}</strong>
        ) : (
          REPLAY_POLICY[one.policy].text
        )}{" "}
        <span className="reason">{REPLAY_POLICY[one.policy].means}</span>
      </span>
    ),
  },
  { head: "Bill", isNumber: true, cell: (one) => <Usd of={one.usd} places={2} /> },
  { head: "Saved", isNumber: true, cell: (one) => <Percent of={one.savedPercent} /> },
  { head: "Between", isNumber: true, cell: (one) => <Between of={one.savedPercentInterval} /> },
  { head: "Moves", isNumber: true, cell: (one) => one.moves },
  { head: "Returns to spot", isNumber: true, cell: (one) => one.returns },
  { head: "Down", isNumber: true, cell: (one) => span(one.downSeconds) },
];

function Between({ of }: { of: Course["savedPercentInterval"] }) {
  if (of === null) return <span className="dim">too few days</span>;
  return (
    <>
      <Percent of={of[0]} /> – <Percent of={of[1]} />
    </>
  );
}

function Told({ backtest }: { backtest: Schemas["Backtest"] }) {
  return (
    <>
      <Card title="The bill under each policy">
        <Facts
          of={[
            ["From", <When key="f" at={backtest.since} />],
            ["Until", <When key="u" at={backtest.until} />],
            ["On demand, all of it", <Usd key="o" of={backtest.onDemandUsd} places={2} />],
            ["On demand an hour", <Usd key="h" of={backtest.onDemandUsdPerHour} />],
            ["A minute of downtime is worth", <Usd key="m" of={backtest.minuteUsd} />],
            ["Pools", backtest.pools.length],
          ]}
        />
        <Table
          label="The bill under each policy"
          rows={backtest.policies}
          keyOf={(one) => one.policy}
          columns={COLUMNS}
          empty=""
        />
        <p className="reason">
          Between: the middle 95 of 100 draws of these days, in blocks of three.{" "}
          <Link to="/agents/$agentId" params={{ agentId: backtest.agentId }}>
            To the agent
          </Link>
        </p>
      </Card>
      <Card title="What it had cost, day by day">
        <Suspense fallback={<Loading />}>
          <CourseChart backtest={backtest} />
        </Suspense>
      </Card>
      <div className="cards">
        <Card title="What this does not know">
          <ul>
            {backtest.unknown.map((one) => (
              <li key={one}>{one}</li>
            ))}
          </ul>
        </Card>
        <Card title="Pools left out">
          <Table
            label="Pools left out"
            rows={backtest.leftOut}
            keyOf={(one) => one.poolId}
            empty="None: every allowed pool's price is known."
            columns={[
              { head: "Pool", cell: (one) => <span className="mono">{one.poolId}</span> },
              { head: "Because", cell: (one) => <span className="reason">{one.because}</span> },
            ]}
          />
        </Card>
      </div>
    </>
  );
}
