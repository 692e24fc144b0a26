import { type QueryClient, queryOptions } from "@tanstack/react-query";
import { api, rememberCsrfToken, told } from "./client";

export const sessionQuery = queryOptions({
  queryKey: ["session"],
  queryFn: async () => {
    const session = await told(api.GET("/api/client/session"));
    rememberCsrfToken(session.csrfToken);
    return session;
  },
  staleTime: Number.POSITIVE_INFINITY,
  retry: false,
});

export async function signIn(token: string) {
  const session = await told(api.POST("/api/client/session", { body: { token } }));
  rememberCsrfToken(session.csrfToken);
  return session;
}

export async function signOut() {
  await told(api.DELETE("/api/client/session"));
}

/** Nothing of the session that was is kept, neither what it read nor its token. */
export function forget(client: QueryClient): void {
  rememberCsrfToken("");
  client.clear();
}
