import type { QueryClient } from "@tanstack/react-query";
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
} from "@tanstack/react-router";
import { sessionQuery } from "../api/session";
import { type Looked, lookedIn, lookedOf } from "../lib/fleet";
import { Failed, Loading, NoPage } from "../parts/states";
import { Shell } from "./Shell";

const root = createRootRouteWithContext<{ client: QueryClient }>()({
  component: Outlet,
  notFoundComponent: NoPage,
});

const signIn = createRoute({
  getParentRoute: () => root,
  path: "/sign-in",
  component: lazyRouteComponent(() => import("../pages/SignIn"), "SignIn"),
});

const inside = createRoute({
  getParentRoute: () => root,
  id: "inside",
  component: Shell,
  beforeLoad: async ({ context }) => {
    try {
      await context.client.ensureQueryData(sessionQuery);
    } catch {
      throw redirect({ to: "/sign-in" });
    }
  },
});

const fleet = createRoute({
  getParentRoute: () => inside,
  path: "/",
  validateSearch: (told: Record<string, unknown>): Looked => {
    const { filters, sorting } = lookedIn(told);
    return lookedOf(filters, sorting);
  },
  component: lazyRouteComponent(() => import("../pages/Fleet"), "Fleet"),
});

const agent = createRoute({
  getParentRoute: () => inside,
  path: "/agents/$agentId",
  component: lazyRouteComponent(() => import("../pages/Agent"), "Agent"),
});

const switches = createRoute({
  getParentRoute: () => inside,
  path: "/switches",
  component: lazyRouteComponent(() => import("../pages/Switches"), "Switches"),
});

const oneSwitch = createRoute({
  getParentRoute: () => inside,
  path: "/switches/$switchId",
  component: lazyRouteComponent(() => import("../pages/OneSwitch"), "OneSwitch"),
});

const savings = createRoute({
  getParentRoute: () => inside,
  path: "/savings",
  component: lazyRouteComponent(() => import("../pages/Savings"), "Savings"),
});

type BacktestAsked = { agent?: string; days: number };
const MOST_DAYS = 30;

const backtest = createRoute({
  getParentRoute: () => inside,
  path: "/backtest",
  validateSearch: (told: Record<string, unknown>): BacktestAsked => {
    const days = Math.min(MOST_DAYS, Math.max(1, Math.trunc(Number(told.days)) || 7));
    return typeof told.agent === "string" ? { agent: told.agent, days } : { days };
  },
  component: lazyRouteComponent(() => import("../pages/Backtest"), "Backtest"),
});

const pools = createRoute({
  getParentRoute: () => inside,
  path: "/pools",
  component: lazyRouteComponent(() => import("../pages/Pools"), "Pools"),
});

const health = createRoute({
  getParentRoute: () => inside,
  path: "/health",
  component: lazyRouteComponent(() => import("../pages/Health"), "Health"),
});

const tokens = createRoute({
  getParentRoute: () => inside,
  path: "/tokens",
  component: lazyRouteComponent(() => import("../pages/Tokens"), "Tokens"),
});

const tree = root.addChildren([
  signIn,
  inside.addChildren([fleet, agent, switches, oneSwitch, savings, backtest, pools, health, tokens]),
]);

export const routerOf = (client: QueryClient) =>
  createRouter({
    routeTree: tree,
    context: { client },
    defaultPendingComponent: Loading,
    defaultErrorComponent: Failed,
    defaultPreload: "intent",
    scrollRestoration: false,
  });

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof routerOf>;
  }
}
