import { queryOptions } from "@tanstack/react-query";
import { api, type Schemas, told } from "./client";

export type Agent = Schemas["AgentState"];
export type AgentDetail = Schemas["AgentDetail"];
export type Switch = Schemas["SwitchState"];
export type Replica = Schemas["ReplicaState"];
export type Control = Schemas["Control"];

/** So often while the event stream is open; what changes without an event (prices) is seen by this. */
export const CALM_MS = 30_000;

/** So often while its dialog is open: whoever confirms has read numbers that are no older. */
export const PREVIEW_MS = 10_000;

const isOnItsWay = (one: Replica) => one.isActive && one.status !== "ready";

const path = (agentId: string) => ({ params: { path: { agentId } } });

export const meQuery = queryOptions({
  queryKey: ["me"],
  queryFn: () => told(api.GET("/api/client/me")),
  staleTime: Number.POSITIVE_INFINITY,
});

export const agentQuery = (id: string) =>
  queryOptions({
    queryKey: ["agent", id],
    queryFn: () => told(api.GET("/api/client/agents/{agentId}", path(id))),
    refetchInterval: CALM_MS,
  });

/** What may be ordered now, judged by the rules that judge the orders. */
export const controlsQuery = (id: string) =>
  queryOptions({
    queryKey: ["agent", id, "controls"],
    queryFn: () => told(api.GET("/api/client/agents/{agentId}/controls", path(id))),
    refetchInterval: CALM_MS,
  });

/** What its deletion would leave and end; of a deleted one, what still goes on. */
export const deletionQuery = (id: string) =>
  queryOptions({
    queryKey: ["agent", id, "deletion"],
    queryFn: () => told(api.GET("/api/client/agents/{agentId}/deletion", path(id))),
  });

export const replicasQuery = (id: string) =>
  queryOptions({
    queryKey: ["agent", id, "replicas"],
    queryFn: () => told(api.GET("/api/client/agents/{agentId}/replicas", path(id))),
    refetchInterval: (query) => (query.state.data?.items.some(isOnItsWay) ? 3_000 : CALM_MS),
  });

export const decisionsQuery = (id: string) =>
  queryOptions({
    queryKey: ["agent", id, "decisions"],
    queryFn: () => told(api.GET("/api/client/agents/{agentId}/decisions", path(id))),
  });

export const eventsQuery = (id: string) =>
  queryOptions({
    queryKey: ["agent", id, "events"],
    queryFn: () => told(api.GET("/api/client/agents/{agentId}/events", path(id))),
  });

export const agentSwitchesQuery = (id: string) =>
  queryOptions({
    queryKey: ["agent", id, "switches"],
    queryFn: () => told(api.GET("/api/client/agents/{agentId}/switches", path(id))),
  });

export const restorePointsQuery = (id: string) =>
  queryOptions({
    queryKey: ["agent", id, "restore-points"],
    queryFn: () => told(api.GET("/api/client/agents/{agentId}/restore-points", path(id))),
  });

export const pricingQuery = (instanceId: string) =>
  queryOptions({
    queryKey: ["instance", instanceId, "pricing"],
    queryFn: () =>
      told(api.GET("/api/client/instances/{instanceId}/pricing", { params: { path: { instanceId } } })),
    refetchInterval: CALM_MS,
  });

export const priceHistoryQuery = (instanceId: string, days: number) =>
  queryOptions({
    queryKey: ["instance", instanceId, "history", days],
    queryFn: () =>
      told(
        api.GET("/api/client/instances/{instanceId}/price-history", {
          params: { path: { instanceId }, query: { days } },
        }),
      ),
    refetchInterval: 60_000,
  });

export const switchesQuery = (cursor: string | null) =>
  queryOptions({
    queryKey: ["switches", cursor],
    queryFn: () =>
      told(
        api.GET("/api/client/switches", {
          params: { query: cursor === null ? { limit: 100 } : { limit: 100, cursor } },
        }),
      ),
  });

export const switchQuery = (switchId: string) =>
  queryOptions({
    queryKey: ["switch", switchId],
    queryFn: () => told(api.GET("/api/client/switches/{switchId}", { params: { path: { switchId } } })),
    refetchInterval: (query) => (query.state.data?.completedAt === null ? 2_000 : CALM_MS),
  });

export type SavingsAsked = { from?: string; to?: string; group: "day" | "agent" | "pool" };

export const savingsQuery = (query: SavingsAsked) =>
  queryOptions({
    queryKey: ["savings", query],
    queryFn: () => told(api.GET("/api/client/savings", { params: { query } })),
    refetchInterval: CALM_MS,
  });

export const poolsQuery = (cursor: string | null) =>
  queryOptions({
    queryKey: ["pools", cursor],
    queryFn: () =>
      told(
        api.GET("/api/client/pools", {
          params: { query: cursor === null ? { limit: 200 } : { limit: 200, cursor } },
        }),
      ),
    refetchInterval: CALM_MS,
  });

export const interruptionsQuery = (cursor: string | null) =>
  queryOptions({
    queryKey: ["interruptions", cursor],
    queryFn: () =>
      told(api.GET("/api/client/interruptions", { params: { query: cursor === null ? {} : { cursor } } })),
  });

export const healthQuery = queryOptions({
  queryKey: ["health"],
  queryFn: () => told(api.GET("/api/client/health")),
  refetchInterval: 10_000,
});

export const limitsQuery = queryOptions({
  queryKey: ["limits"],
  queryFn: () => told(api.GET("/api/client/limits")),
  refetchInterval: CALM_MS,
});

export const probesKey = ["probes"];

/** The budget, and a page of what it bought. */
export const probesQuery = (cursor: string | null) =>
  queryOptions({
    queryKey: [...probesKey, cursor],
    queryFn: () =>
      told(
        api.GET("/api/client/probes", {
          params: { query: cursor === null ? { limit: 10 } : { limit: 10, cursor } },
        }),
      ),
    refetchInterval: (query) =>
      query.state.data?.items.some((one) => one.status !== "over") ? 3_000 : CALM_MS,
  });

export const leftoversQuery = queryOptions({
  queryKey: ["leftovers"],
  queryFn: () => told(api.GET("/api/client/leftovers")),
  refetchInterval: CALM_MS,
});
