import { MantineProvider } from "@mantine/core";
import "./app/styles.css";
import "./app.css";
import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Refusal } from "./api/client";
import { fleetQuery } from "./api/fleet";
import { forget, sessionQuery } from "./api/session";
import { nonce } from "./app/page";
import { routerOf } from "./app/router";
import { theme } from "./app/theme";

const UNAUTHORIZED = 401;

function leaveIfSignedOut(error: Error): void {
  const isOver = error instanceof Refusal && error.status === UNAUTHORIZED;
  if (!isOver || window.location.pathname === "/sign-in") return;
  forget(client);
  void router.navigate({ to: "/sign-in" });
}

const client = new QueryClient({
  queryCache: new QueryCache({ onError: leaveIfSignedOut }),
  mutationCache: new MutationCache({ onError: leaveIfSignedOut }),
  defaultOptions: {
    // Never "when the browser is online again": an order is sent when it is clicked or not at all, and a server on
    // this machine is there without a network.
    mutations: { networkMode: "always" },
    queries: {
      networkMode: "always",
      staleTime: 2_000,
      retry: (failures, error) =>
        failures < 2 && !(error instanceof Refusal && error.status >= 400 && error.status < 500),
    },
  },
});
const router = routerOf(client);

// What the first page needs is asked for at once, not one after the other: who is signed in, the agents, the page.
if (window.location.pathname === "/") {
  void client.prefetchQuery(sessionQuery);
  void client.prefetchQuery(fleetQuery);
  void import("./pages/Fleet");
}

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    <MantineProvider theme={theme} defaultColorScheme="auto" getStyleNonce={nonce}>
      <QueryClientProvider client={client}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
);
