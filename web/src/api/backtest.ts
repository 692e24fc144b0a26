import { queryOptions } from "@tanstack/react-query";
import { api, told } from "./client";

/** Worked out once; the same question is answered from memory until the page is loaded again. */
export const backtestQuery = (agentId: string, days: number) =>
  queryOptions({
    queryKey: ["backtest", agentId, days],
    queryFn: ({ signal }) =>
      told(
        api.GET("/api/client/agents/{agentId}/backtest", {
          params: { path: { agentId }, query: { days } },
          signal,
        }),
      ),
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
  });
