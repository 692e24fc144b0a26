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
export const BY_NAME: Sorting = { by: "name", falling: false };

/** What is looked for, as the address of the page keeps it: going back finds it again, and a link carries it. */
export type Looked = { text?: string; health?: string; mode?: string; by?: string; falling?: boolean };

const HEALTHS = ["healthy", "unhealthy", "silent", "unknown", "deleted"] as const satisfies Agent["health"][];
const MODES = ["spot", "ondemand", "unknown"] as const;
const KEYS = ["name", "place", "price", "saving", "health"] as const satisfies SortKey[];

export function lookedOf(filters: Filters, { by, falling }: Sorting): Looked {
  return {
    ...(filters.text !== "" && { text: filters.text }),
    ...(filters.health !== "" && { health: filters.health }),
    ...(filters.mode !== "" && { mode: filters.mode }),
    ...(by !== BY_NAME.by && { by }),
    ...(falling && { falling }),
  };
}

/** Of any address: what is nothing that we write there counts for nothing. */
export function lookedIn(told: Record<string, unknown>): { filters: Filters; sorting: Sorting } {
  const text = ["string", "number", "boolean"].includes(typeof told.text) ? String(told.text) : "";
  return {
    filters: {
      text,
      health: HEALTHS.find((one) => one === told.health) ?? "",
      mode: MODES.find((one) => one === told.mode) ?? "",
    },
    sorting: { by: KEYS.find((one) => one === told.by) ?? BY_NAME.by, falling: told.falling === true },
  };
}

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
