import type { Schemas } from "../api/client";
import type { Drawn } from "./chart";
import { fromMicros, micros } from "./money";
import { REPLAY_POLICY } from "./words";

const DAY_SECONDS = 86_400;

/** What each policy had cost by the end of each day, from nothing at the start. */
export function courseChart(backtest: Schemas["Backtest"]): Drawn {
  const end = Date.parse(backtest.until) / 1000;
  const days = backtest.policies[0]?.days ?? [];
  const axis = [
    Date.parse(backtest.since) / 1000,
    ...days.map(({ day }) => Math.min(end, Date.parse(`${day}T00:00:00Z`) / 1000 + DAY_SECONDS)),
  ];
  const lines = backtest.policies.map((one) => summed(one.days.map(({ usd }) => usd)));
  const labels = backtest.policies.map((one) => ({
    name: REPLAY_POLICY[one.policy].text,
    isServing: one.policy === "engine",
    isOnDemand: one.policy === "on-demand",
  }));
  return { data: [axis, ...lines], labels, marks: [] };
}

function summed(days: readonly string[]): number[] {
  let sum = 0n;
  const sums = days.map((usd) => {
    sum += micros(usd);
    return Number(fromMicros(sum));
  });
  return [0, ...sums];
}
