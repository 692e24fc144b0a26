import { TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { Schemas } from "../api/client";
import { poolsQuery } from "../api/queries";
import { Usd, When } from "../parts/figures";
import { Listing } from "../parts/Listing";
import { usePages } from "../parts/Pager";
import type { Column } from "../parts/Table";
import { Tag } from "../parts/Tag";

const COLUMNS: readonly Column<Schemas["PoolState"]>[] = [
  { head: "Pool", cell: (one) => <span className="mono">{one.id}</span> },
  { head: "Zone id", cell: (one) => one.azId ?? "unknown" },
  { head: "Product", cell: (one) => one.product },
  { head: "$/h", isNumber: true, cell: (one) => <Usd of={one.price} /> },
  { head: "Price seen", cell: (one) => <When at={one.capturedAt} never="not in the last hour" /> },
  {
    head: "Quarantine",
    cell: (one) =>
      one.quarantinedUntil === null ? (
        "no"
      ) : (
        <>
          <Tag word={{ text: "left alone", tone: "warn" }} /> until <When at={one.quarantinedUntil} />
        </>
      ),
  },
  {
    head: "Last trouble",
    cell: (one) =>
      one.struckBecause === null ? (
        <span className="dim">none</span>
      ) : (
        <span className="reason">
          {one.struckBecause}
          {one.strikes ? ` (${one.strikes} in a row)` : null}
        </span>
      ),
  },
  { head: "Launched here", isNumber: true, cell: (one) => one.launched },
  { head: "Interrupted here", isNumber: true, cell: (one) => one.interruptions },
];

export function Pools() {
  const pages = usePages();
  const [text, setText] = useState("");
  const wanted = text.trim().toLowerCase();
  return (
    <Listing
      title="Pools"
      heading="Spot pools"
      label="Spot pools"
      pages={pages}
      asked={useQuery(poolsQuery(pages.cursor))}
      passes={(one) => one.id.toLowerCase().includes(wanted)}
      keyOf={(one) => one.id}
      columns={COLUMNS}
      empty="No pool is known, or none of this page passes the filter."
      filters={
        <TextInput
          label="Search"
          placeholder="type, zone"
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
        />
      }
    />
  );
}
