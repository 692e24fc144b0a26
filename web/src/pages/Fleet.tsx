import { NativeSelect, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useMemo, useRef, useState } from "react";
import { fleetQuery } from "../api/fleet";
import type { Agent } from "../api/queries";
import { type Filters, lookedIn, lookedOf, matches, type Sorting, sorted, sumOf } from "../lib/fleet";
import { HEALTH } from "../lib/words";
import { FleetTable } from "../parts/FleetTable";
import { Percent, Usd } from "../parts/figures";
import { Loading, Refused } from "../parts/states";

export function Fleet() {
  const fleet = useQuery(fleetQuery);
  const { filters, setFilters, sorting, setSorting } = useLooked();
  const agents = fleet.data?.agents;
  const shown = useMemo(
    () =>
      sorted(
        (agents ?? []).filter((agent) => matches(agent, filters)),
        sorting,
      ),
    [agents, filters, sorting],
  );
  return (
    <>
      <title>Fleet · SpotGuard</title>
      <h1>Fleet</h1>
      {agents === undefined ? (
        fleet.error === null && <Loading />
      ) : (
        <>
          <Totals agents={agents} complete={fleet.data?.complete ?? false} />
          <Bar filters={filters} onChange={setFilters} shown={shown.length} all={agents.length} />
          <FleetTable agents={shown} sorting={sorting} onSort={setSorting} />
        </>
      )}
      <Refused error={fleet.error} what="The fleet could not be read" />
    </>
  );
}

/** Kept in the page's address as well. */
function useLooked() {
  const told = useSearch({ from: "/inside/" });
  const navigate = useNavigate();
  const [{ filters, sorting }, look] = useState(() => lookedIn(told));
  const keep = (next: { filters: Filters; sorting: Sorting }) => {
    look(next);
    void navigate({ to: "/", search: lookedOf(next.filters, next.sorting), replace: true });
  };
  return {
    filters,
    sorting,
    setFilters: (filters: Filters) => keep({ filters, sorting }),
    setSorting: (sorting: Sorting) => keep({ filters, sorting }),
  };
}

function Totals({ agents, complete }: { agents: readonly Agent[]; complete: boolean }) {
  const sum = useMemo(() => sumOf(agents), [agents]);
  return (
    <p className="totals" aria-live="off">
      <strong>
        <Usd of={sum.usd} places={2} /> an hour
      </strong>{" "}
      now, <Usd of={sum.onDemandUsd} places={2} /> on demand: <Percent of={sum.savedPercent} /> saved
      {sum.unknown > 0 && `; ${sum.unknown} agents whose price is unknown are in neither sum`}.
      {!complete && <span className="dim"> (still reading: {agents.length} agents so far)</span>}
      <span className="dim"> Standbys and disks are metered under Savings.</span>
    </p>
  );
}

function Bar(props: { filters: Filters; onChange: (filters: Filters) => void; shown: number; all: number }) {
  const { filters, onChange } = props;
  const search = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const focus = (event: KeyboardEvent) => {
      if (event.key !== "/" || event.target instanceof HTMLInputElement) return;
      event.preventDefault();
      search.current?.focus();
    };
    window.addEventListener("keydown", focus);
    return () => window.removeEventListener("keydown", focus);
  }, []);
  return (
    <search className="row filters">
      <TextInput
        ref={search}
        label="Search"
        placeholder="name, instance, pool, host  ( / )"
        value={filters.text}
        onChange={(event) => onChange({ ...filters, text: event.currentTarget.value })}
      />
      <NativeSelect
        label="Health"
        value={filters.health}
        onChange={(event) => onChange({ ...filters, health: event.currentTarget.value as Filters["health"] })}
        data={[
          { value: "", label: "any" },
          ...Object.entries(HEALTH).map(([value, word]) => ({ value, label: word.text })),
        ]}
      />
      <NativeSelect
        label="Runs"
        value={filters.mode}
        onChange={(event) => onChange({ ...filters, mode: event.currentTarget.value as Filters["mode"] })}
        data={[
          { value: "", label: "anywhere" },
          { value: "spot", label: "on spot" },
          { value: "ondemand", label: "on demand" },
          { value: "unknown", label: "unknown" },
        ]}
      />
      <p className="dim count" role="status">
        {props.shown} of {props.all} agents
      </p>
    </search>
  );
}
