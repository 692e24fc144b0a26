import {
  type QueryClient,
  type UseMutationOptions,
  useMutation,
  useQueryClient,
} from "@tanstack/react-query";
import { useRef, useState } from "react";
import { api, type Schemas, told } from "./client";
import { configuring, invalidateParts, refreshAgent } from "./fleet";
import { type AgentDetail, agentQuery } from "./queries";

export type Change = Schemas["ConfigurationChange"];

/** A change is shown at once; one that the server refuses goes back, and its reason stays on the screen.
 *
 * Changes of one agent are sent one after the other: the last click is the last that the server hears. */
export function useConfigure(agentId: string) {
  const client = useQueryClient();
  const key = agentQuery(agentId).queryKey;
  const mutationKey = configuring(agentId);
  const show = (change: Change) =>
    client.setQueryData<AgentDetail>(
      key,
      (agent) => agent && { ...agent, config: changed(agent.config, change) },
    );
  const [refusal, setRefusal] = useState<Error | null>(null);
  const { mutate, isPending } = useMutation({
    mutationKey,
    scope: { id: mutationKey.join(" ") },
    mutationFn: (change: Change) =>
      told(api.POST("/api/client/agents/{agentId}/config", { params: { path: { agentId } }, body: change })),
    onMutate: async (change) => {
      if (client.isMutating({ mutationKey }) === 1) setRefusal(null);
      await client.cancelQueries({ queryKey: key, exact: true });
      const before = client.getQueryData(key);
      show(change);
      return { before };
    },
    onError: (error, change, context) => {
      setRefusal(error);
      if (context?.before) client.setQueryData(key, context.before);
      for (const later of changesOnTheirWay(client, agentId)) if (later !== change) show(later);
    },
    onSettled: async () => {
      if (client.isMutating({ mutationKey }) > 1) return; // the last of them looks
      await Promise.allSettled([refreshAgent(client, agentId), invalidateParts(client, agentId)]);
    },
  });
  return { mutate, isPending, error: refusal };
}

const changesOnTheirWay = (client: QueryClient, agentId: string) =>
  client
    .getMutationCache()
    .findAll({ mutationKey: configuring(agentId), status: "pending" })
    .map((mutation) => mutation.state.variables as Change);

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

/** Sent once, however often it is clicked before its answer: a second one's refusal would hide the first one's success. */
export function useOrder<T, A = void>(options: UseMutationOptions<T, Error, A>) {
  const isOut = useRef(false);
  const { mutate, data, error, isPending, isIdle, isError } = useMutation({
    ...options,
    onSettled: async (...told) => {
      try {
        await options.onSettled?.(...told);
      } finally {
        isOut.current = false;
      }
    },
  });
  const send: typeof mutate = (...order) => {
    if (isOut.current) return;
    isOut.current = true;
    mutate(...order);
  };
  return { mutate: send, data, error, isPending, isIdle, isError };
}

/** An order for one agent: everything that is shown of it is read again afterwards. */
export function useAction<T, A = void>(agentId: string, act: (argument: A) => Promise<T>) {
  const client = useQueryClient();
  return useOrder<T, A>({
    mutationFn: act,
    onSettled: () => client.invalidateQueries({ queryKey: ["agent", agentId] }),
  });
}
