import { CancelledError, type QueryClient, queryOptions } from "@tanstack/react-query";
import { api, told } from "./client";
import { type Agent, agentQuery, CALM_MS } from "./queries";

/** `complete`: false while further pages are on their way: sums are not shown as final. */
export type Fleet = { agents: Agent[]; complete: boolean };

const FIRST_PAGE = 50;
const FURTHER_PAGES = 250;
const KEY = ["fleet"] as const;

/** When each agent was last asked for alone, in milliseconds: a page that was asked for before knows less of it. */
const askedAlone = new Map<string, number>();

export const fleetQuery = queryOptions({
  queryKey: KEY,
  queryFn: async ({ client, signal }): Promise<Fleet> => {
    const isFirst = client.getQueryData(KEY) === undefined;
    const pages: { agents: Agent[]; askedAt: number }[] = [];
    let cursor: string | null = null;
    do {
      const askedAt = performance.now();
      const page = await pageOf(cursor, pages.length === 0 ? FIRST_PAGE : FURTHER_PAGES, signal);
      pages.push({ agents: page.items, askedAt });
      cursor = page.nextCursor ?? null;
      if (isFirst && cursor !== null)
        client.setQueryData<Fleet>(KEY, { agents: newest(client, pages), complete: false });
    } while (cursor !== null);
    return { agents: newest(client, pages), complete: true };
  },
  refetchInterval: (query) => (isLarge(query.state.data) ? CALM_MS * 10 : CALM_MS * 2),
  structuralSharing: false,
});

/** The pages' agents, but of one that was asked for alone since then what that told; nothing of one that is gone. */
function newest(client: QueryClient, pages: readonly { agents: Agent[]; askedAt: number }[]): Agent[] {
  const known = new Map(client.getQueryData<Fleet>(KEY)?.agents.map((agent) => [agent.id, agent]));
  return pages.flatMap(({ agents, askedAt }) =>
    agents.flatMap((agent) => {
      if ((askedAlone.get(agent.id) ?? Number.NEGATIVE_INFINITY) <= askedAt) return [agent];
      const alone = client.getQueryData<Agent>(agentQuery(agent.id).queryKey) ?? known.get(agent.id);
      return alone === undefined || alone.status === "deleted" ? [] : [alone];
    }),
  );
}

/** Reading thousands of agents is work for the server: events tell of each one that has changed. */
export const isLarge = (fleet: Fleet | undefined) => fleet !== undefined && fleet.agents.length > 1_000;

function pageOf(cursor: string | null, limit: number, signal: AbortSignal) {
  const query = cursor === null ? { limit } : { limit, cursor };
  return told(api.GET("/api/client/agents", { params: { query }, signal }));
}

/** One agent of the table anew, without asking for the thousands beside it. */
export async function refreshAgent(client: QueryClient, agentId: string): Promise<void> {
  const query = agentQuery(agentId);
  await client.cancelQueries({ queryKey: query.queryKey, exact: true });
  const askedAt = performance.now();
  try {
    const fresh = await client.fetchQuery({ ...query, staleTime: 0 });
    askedAlone.set(agentId, askedAt);
    client.setQueryData<Fleet>(KEY, (fleet) => fleet && { ...fleet, agents: replaced(fleet.agents, fresh) });
  } catch (error) {
    if (!(error instanceof CancelledError)) throw error; // somebody asks anew
  }
}

/** Of an agent what is read apart from it: replicas, decisions, moves. */
export const invalidateParts = (client: QueryClient, agentId: string) =>
  client.invalidateQueries({ queryKey: ["agent", agentId], predicate: (query) => query.queryKey.length > 2 });

/** The key of changes of its configuration. */
export const configuring = (agentId: string) => ["configure", agentId];

function replaced(agents: readonly Agent[], fresh: Agent): Agent[] {
  const others = agents.filter((one) => one.id !== fresh.id);
  if (fresh.status === "deleted") return others;
  if (others.length === agents.length) return [...others, fresh];
  return agents.map((one) => (one.id === fresh.id ? fresh : one));
}
