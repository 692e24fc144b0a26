import { TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { poolsQuery } from "../api/queries";
import { Card } from "../parts/Card";
import { Usd, When } from "../parts/figures";
import { Pager, usePages } from "../parts/Pager";
import { Refused } from "../parts/states";
import { Table } from "../parts/Table";
import { Tag } from "../parts/Tag";

export function Pools() {
  const pages = usePages();
  const { data, error } = useQuery(poolsQuery(pages.cursor));
  const [text, setText] = useState("");
  const wanted = text.trim().toLowerCase();
  const shown = (data?.items ?? []).filter((one) => one.id.toLowerCase().includes(wanted));
  return (
    <>
      <title>Pools · SpotGuard</title>
      <h1>Pools</h1>
      <search className="row filters">
        <TextInput
          label="Search"
          placeholder="type, zone"
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
        />
      </search>
      <Refused error={error} what="Pools could not be read" />
      <Card title="Spot pools">
        <Table
          label="Spot pools"
          rows={shown}
          keyOf={(one) => one.id}
          empty={data === undefined ? "" : "No pool is known, or none of this page passes the filter."}
          columns={[
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
                    <Tag word={{ text: "left alone", tone: "warn" }} /> until{" "}
                    <When at={one.quarantinedUntil} />
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
                    {one.struckBecause} ({one.strikes} in a row)
                  </span>
                ),
            },
            { head: "Launched here", isNumber: true, cell: (one) => one.launched },
            { head: "Interrupted here", isNumber: true, cell: (one) => one.interruptions },
          ]}
        />
        <Pager pages={pages} next={data?.nextCursor ?? null} />
      </Card>
    </>
  );
}
