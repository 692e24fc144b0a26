import type { Agent } from "../api/queries";
import { fromMicros, micros, savedPercent } from "./money";
import { place } from "./words";

export type Filters = {
  text: string;
  health: Agent["health"] | "";
  mode: "" | "spot" | "ondemand" | "unknown";
};
export type Sorting = { by: SortKey; falling: boolean };
export type SortKey = "name" | "place" | "price" | "saving" | "health";

export const NO_FILTERS: Filters = { text: "", health: "", mode: "" };

export function matches(agent: Agent, filters: Filters): boolean {
  if (filters.health !== "" && agent.health !== filters.health) return false;
  if (filters.mode !== "" && (agent.currentMode ?? "unknown") !== filters.mode) return false;
  const text = filters.text.trim().toLowerCase();
  if (text === "") return true;
  const told = [
    agent.logicalAgentId,
    agent.instanceId,
    agent.currentPoolId,
    agent.az,
    agent.hostname,
    agent.status,
  ];
  return told.some((one) => one?.toLowerCase().includes(text));
}

const HEALTH_ORDER: Record<Agent["health"], number> = {
  unhealthy: 0,
  silent: 1,
  unknown: 2,
  healthy: 3,
  deleted: 4,
};

const VALUE: Record<SortKey, (agent: Agent) => string | number | bigint | null> = {
  name: (agent) => agent.logicalAgentId,
  place: (agent) => place(agent.currentMode, agent.currentPoolId),
  price: (agent) => (agent.priceUsd === null ? null : micros(agent.priceUsd)),
  saving: (agent) => agent.savingPercent,
  health: (agent) => HEALTH_ORDER[agent.health],
};

/** What is unknown comes last, whichever way it is sorted. */
export function sorted(agents: readonly Agent[], { by, falling }: Sorting): Agent[] {
  const way = falling ? -1 : 1;
  const keyed = agents.map((agent) => ({ agent, value: VALUE[by](agent) }));
  keyed.sort((a, b) => {
    if (a.value === null || b.value === null) return Number(a.value === null) - Number(b.value === null);
    return a.value < b.value ? -way : a.value > b.value ? way : 0;
  });
  return keyed.map((one) => one.agent);
}

export type Sum = { usd: string; onDemandUsd: string; savedPercent: number | null; unknown: number };

/** Of agents whose price and on-demand price are both known; how many are not is told beside it. */
export function sumOf(agents: readonly Agent[]): Sum {
  let usd = 0n;
  let onDemand = 0n;
  let unknown = 0;
  for (const agent of agents) {
    if (agent.priceUsd === null || agent.onDemandUsd === null) unknown += 1;
    else {
      usd += micros(agent.priceUsd);
      onDemand += micros(agent.onDemandUsd);
    }
  }
  return {
    usd: fromMicros(usd),
    onDemandUsd: fromMicros(onDemand),
    savedPercent: savedPercent(usd, onDemand),
    unknown,
  };
}
