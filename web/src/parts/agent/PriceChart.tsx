import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { priceHistoryQuery } from "../../api/queries";
import { chartOf } from "../../lib/chart";
import { Card } from "../Card";
import { Chart } from "../Chart";
import { Usd, When } from "../figures";
import { Loading, Refused } from "../states";

const DAYS = 7;

export default function PriceChart({
  instanceId,
  servingPool,
}: {
  instanceId: string;
  servingPool: string | null;
}) {
  const { data, error } = useQuery(priceHistoryQuery(instanceId, DAYS));
  const drawn = useMemo(() => (data === undefined ? null : chartOf(data, servingPool)), [data, servingPool]);
  return (
    <Card title="Prices of the last 7 days">
      <Refused error={error} what="Prices could not be read" />
      {drawn === null ? (
        error === null && <Loading />
      ) : drawn.data[0].length === 0 ? (
        <p className="dim">No price of these days is known.</p>
      ) : (
        <Chart drawn={drawn} label="Spot prices" isStepped />
      )}
      {data !== undefined && (
        <details>
          <summary>What the chart shows, in words</summary>
          <ul>
            {data.marks.map((mark) => (
              <li key={`${mark.time} ${mark.kind} ${mark.label}`}>
                <When at={mark.time} />: {mark.kind} {mark.label}
              </li>
            ))}
            {data.pools.map((pool) => (
              <li key={pool.id}>
                {pool.id}: {pool.points.length} changes, now <Usd of={pool.points.at(-1)?.[1]} />
              </li>
            ))}
          </ul>
        </details>
      )}
    </Card>
  );
}
