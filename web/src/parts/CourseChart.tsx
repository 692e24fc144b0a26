import { useMemo } from "react";
import type { Schemas } from "../api/client";
import { courseChart } from "../lib/courses";
import { REPLAY_POLICY } from "../lib/words";
import { Chart } from "./Chart";
import { Usd } from "./figures";
import { Table } from "./Table";

/** Each policy's bill as it grew, and the same in words. */
export default function CourseChart({ backtest }: { backtest: Schemas["Backtest"] }) {
  const drawn = useMemo(() => courseChart(backtest), [backtest]);
  const days = backtest.policies[0]?.days ?? [];
  return (
    <>
      <Chart drawn={drawn} label="What each policy had cost by the end of each day" isStepped={false} />
      <details>
        <summary>What the chart shows, in words</summary>
        <Table
          label="USD of each day (UTC)"
          rows={days.map(({ day }, index) => ({ day, index }))}
          keyOf={(one) => one.day}
          empty=""
          columns={[
            { head: "Day (UTC)", cell: (one) => one.day },
            ...backtest.policies.map((policy) => ({
              head: REPLAY_POLICY[policy.policy].text,
              isNumber: true,
              cell: ({ index }: { index: number }) => <Usd of={policy.days[index]?.usd} />,
            })),
          ]}
        />
      </details>
    </>
  );
}
