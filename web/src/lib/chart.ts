import type { Schemas } from "../api/client";

export type Drawn = {
  /** Seconds, then one line of USD an hour per label; null: nothing is known there. */
  data: [number[], ...(number | null)[][]];
  labels: { name: string; isServing: boolean; isOnDemand: boolean }[];
  marks: { at: number; kind: "switch" | "signal"; label: string }[];
};

/** Step series of different instants on one axis: each holds its value until its next point. */
export function chartOf(history: Schemas["PriceHistory"], servingPool: string | null): Drawn {
  const instants = new Set<number>();
  for (const pool of history.pools) for (const [at] of pool.points) instants.add(Date.parse(at) / 1000);
  const axis = [...instants].sort((a, b) => a - b);
  const lines = history.pools.map((pool) => line(pool.points, axis));
  const labels = history.pools.map((pool) => ({
    name: pool.id,
    isServing: pool.id === servingPool,
    isOnDemand: false,
  }));
  const onDemand = history.onDemandPrice;
  if (onDemand !== null) {
    lines.push(axis.map(() => Number(onDemand)));
    labels.push({ name: "on demand", isServing: servingPool === null, isOnDemand: true });
  }
  const marks = history.marks.map((mark) => ({
    at: Date.parse(mark.time) / 1000,
    kind: mark.kind,
    label: mark.label,
  }));
  return { data: [axis, ...lines], labels, marks };
}

function line(points: Schemas["PriceSeries"]["points"], axis: readonly number[]): (number | null)[] {
  let next = 0;
  let value: number | null = null;
  return axis.map((at) => {
    for (let point = points[next]; point && Date.parse(point[0]) / 1000 <= at; point = points[next]) {
      value = point[1] === null ? null : Number(point[1]);
      next += 1;
    }
    return value;
  });
}
