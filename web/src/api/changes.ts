import { useMutation, useQueryClient } from "@tanstack/react-query";
import { api, type Schemas, told } from "./client";
import { type AgentDetail, agentQuery } from "./queries";

export type Change = Schemas["ConfigurationChange"];

/** What is stored is shown at once; what the server refuses rolls back, and its reason stays on the screen. */
export function useConfigure(agentId: string) {
  const client = useQueryClient();
  const key = agentQuery(agentId).queryKey;
  return useMutation({
    mutationFn: (change: Change) =>
      told(api.POST("/api/client/agents/{agentId}/config", { params: { path: { agentId } }, body: change })),
    onMutate: async (change) => {
      await client.cancelQueries({ queryKey: key, exact: true });
      const before = client.getQueryData(key);
      client.setQueryData<AgentDetail>(
        key,
        (agent) => agent && { ...agent, config: changed(agent.config, change) },
      );
      return { before };
    },
    onError: (_error, _change, context) => {
      if (context?.before) client.setQueryData(key, context.before);
    },
    onSettled: () => client.invalidateQueries({ queryKey: ["agent", agentId] }),
  });
}

/** As the server would store it: of the two kinds of protection one excludes the other (ruling S11). */
export function changed(config: Schemas["Configuration"], change: Change): Schemas["Configuration"] {
  const known = Object.fromEntries(
    Object.entries(change).filter(
      ([name, value]) => value !== undefined && name in config && name !== "traffic",
    ),
  );
  const next = { ...config, ...known } as Schemas["Configuration"];
  if (change.autoSwitchEnabled === true) next.manualReplicaEnabled = false;
  if (change.manualReplicaEnabled === true) next.autoSwitchEnabled = false;
  return next;
}

/** An action on one agent: everything that is shown of it is read again afterwards. */
export function useAction<T, A = void>(agentId: string, act: (argument: A) => Promise<T>) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: act,
    onSettled: () => client.invalidateQueries({ queryKey: ["agent", agentId] }),
  });
}
