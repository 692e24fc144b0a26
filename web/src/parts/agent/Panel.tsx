import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { Schemas } from "../../api/client";
import { type AgentDetail, controlsQuery, pricingQuery } from "../../api/queries";
import { micros } from "../../lib/money";
import { span } from "../../lib/time";
import { Card } from "../Card";
import { Percent, Usd, When } from "../figures";
import { Loading, Refused } from "../states";
import { type Column, Table } from "../Table";
import { Tag } from "../Tag";
import { isBarred, WhyNot } from "../WhyNot";
import { SwitchDialog } from "./SwitchDialog";

type Offer = Schemas["PoolOffer"];
export type Target = { target: "ondemand" } | { target: "pool"; poolId: string };
type Line = { key: string; target: Target; isPresent: boolean; offer: Offer | null; price: string | null };

/** Manual switching: on demand first, then every pool by price; the cheapest that SpotGuard would take is marked. */
export function Panel({ agent, instanceId }: { agent: AgentDetail; instanceId: string }) {
  const { data: pricing, error } = useQuery(pricingQuery(instanceId));
  const { data: controls } = useQuery(controlsQuery(agent.id));
  const [target, setTarget] = useState<Target | null>(null);
  return (
    <Card title="Move it by hand">
      <WhyNot control={controls?.move} what="It cannot be moved now" />
      <Refused error={error} what="Prices could not be read" />
      {pricing === undefined ? (
        error === null && <Loading />
      ) : (
        <Table
          label="Prices of all pools"
          rows={linesOf(pricing)}
          keyOf={(line) => line.key}
          columns={columns(pricing, isBarred(controls?.move), setTarget)}
          empty="no pool is known"
        />
      )}
      {target !== null && (
        <SwitchDialog
          agentId={agent.id}
          instanceId={instanceId}
          target={target}
          onClose={() => setTarget(null)}
        />
      )}
    </Card>
  );
}

export function linesOf(pricing: Schemas["InstancePricing"]): Line[] {
  const onDemand: Line = {
    key: "ondemand",
    target: { target: "ondemand" },
    isPresent: pricing.currentMode === "ondemand",
    offer: null,
    price: pricing.onDemand,
  };
  const pools = pricing.pools.map((offer) => ({
    key: offer.id,
    target: { target: "pool" as const, poolId: offer.id },
    isPresent: pricing.currentMode === "spot" && offer.id === pricing.currentPool,
    offer,
    price: offer.price,
  }));
  return [onDemand, ...pools.sort(byPrice)];
}

function byPrice(a: Line, b: Line): number {
  if (a.price === null || b.price === null) return Number(a.price === null) - Number(b.price === null);
  return Number(micros(a.price) - micros(b.price));
}

/** The cheapest priced pool that is allowed and within the agent's own limit of risk. */
export const cheapestSafe = (pools: readonly Offer[]): string | null =>
  [...pools]
    .filter((offer) => offer.allowed && offer.price !== null && !offer.aboveRiskLimit)
    .sort((a, b) => Number(micros(a.price ?? "0") - micros(b.price ?? "0")))[0]?.id ?? null;

function columns(
  pricing: Schemas["InstancePricing"],
  isMoveBarred: boolean,
  pick: (target: Target) => void,
): Column<Line>[] {
  const best = cheapestSafe(pricing.pools);
  return [
    {
      head: "Where",
      cell: ({ offer, key, isPresent }) => (
        <>
          {offer?.name ?? "on demand"} {isPresent && <Tag word={{ text: "serves here", tone: "info" }} />}{" "}
          {key === best && <Tag word={{ text: "cheapest safe", tone: "good" }} />}
        </>
      ),
    },
    { head: "$/h", isNumber: true, cell: ({ price }) => <Usd of={price} /> },
    {
      head: "Saving",
      isNumber: true,
      cell: ({ offer }) => (offer === null ? "–" : <Percent of={offer.savingPercent} />),
    },
    {
      head: "Risk in 6 h",
      isNumber: true,
      cell: ({ offer }) => (offer === null ? "–" : <Percent of={offer.risk} />),
    },
    {
      head: "Price seen",
      cell: ({ offer }) =>
        offer === null
          ? "–"
          : offer.ageSeconds === null
            ? "unknown"
            : `${span(Math.round(offer.ageSeconds))} ago`,
    },
    {
      head: "Would SpotGuard go there?",
      cell: ({ offer }) =>
        offer === null ? (
          <span className="reason">only when no pool is left</span>
        ) : (
          <span className="reason">
            {offer.allowed ? "yes" : "no"}: {offer.because}
            {offer.quarantinedUntil !== null && (
              <>
                {" "}
                until <When at={offer.quarantinedUntil} />
              </>
            )}
          </span>
        ),
    },
    {
      head: "",
      cell: ({ target, isPresent, offer }) =>
        isPresent ? (
          <span className="reason">{offer?.because ?? "the workload runs here"}</span>
        ) : (
          <Button
            size="compact-sm"
            variant="default"
            disabled={isMoveBarred}
            onClick={() => pick(target)}
            aria-label={`Move to ${offer?.name ?? "on demand"}…`}
          >
            Move…
          </Button>
        ),
    },
  ];
}
