import { type QueryClient, queryOptions } from "@tanstack/react-query";
import { api, told } from "./client";
import { type Agent, CALM_MS } from "./queries";

/** `complete`: false while further pages are on their way: sums are not shown as final. */
export type Fleet = { agents: Agent[]; complete: boolean };

const FIRST_PAGE = 50;
const FURTHER_PAGES = 250;
const KEY = ["fleet"] as const;

export const fleetQuery = queryOptions({
  queryKey: KEY,
  queryFn: async ({ client, signal }): Promise<Fleet> => {
    const isFirst = client.getQueryData(KEY) === undefined;
    const agents: Agent[] = [];
    let cursor: string | null = null;
    do {
      const page = await pageOf(cursor, agents.length === 0 ? FIRST_PAGE : FURTHER_PAGES, signal);
      agents.push(...page.items);
      cursor = page.nextCursor ?? null;
      if (isFirst && cursor !== null)
        client.setQueryData<Fleet>(KEY, { agents: [...agents], complete: false });
    } while (cursor !== null);
    return { agents, complete: true };
  },
  refetchInterval: (query) => (isLarge(query.state.data) ? CALM_MS * 10 : CALM_MS * 2),
  structuralSharing: false,
});

/** Reading thousands of agents is work for the server: events tell of each one that has changed. */
export const isLarge = (fleet: Fleet | undefined) => fleet !== undefined && fleet.agents.length > 1_000;

function pageOf(cursor: string | null, limit: number, signal: AbortSignal) {
  const query = cursor === null ? { limit } : { limit, cursor };
  return told(api.GET("/api/client/agents", { params: { query }, signal }));
}

/** One agent of the table anew, without asking for the thousands beside it. */
export async function refreshAgent(client: QueryClient, agentId: string): Promise<void> {
  const fresh = await told(api.GET("/api/client/agents/{agentId}", { params: { path: { agentId } } }));
  client.setQueryData(["agent", agentId], fresh);
  client.setQueryData<Fleet>(KEY, (fleet) => fleet && { ...fleet, agents: replaced(fleet.agents, fresh) });
}

function replaced(agents: readonly Agent[], fresh: Agent): Agent[] {
  const others = agents.filter((one) => one.id !== fresh.id);
  if (fresh.status === "deleted") return others;
  if (others.length === agents.length) return [...others, fresh];
  return agents.map((one) => (one.id === fresh.id ? fresh : one));
}
