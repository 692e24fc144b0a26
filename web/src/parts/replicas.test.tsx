import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, describe, expect, it } from "vitest";
import type { Replica } from "../api/queries";
import { detailOf } from "../test/agents";
import { Replicas } from "./agent/Replicas";

afterEach(cleanup);

const LIVING: Replica = {
  id: "r1",
  agentId: "a1",
  instanceId: "i-2",
  replicaType: "automatic-termination",
  poolId: "t3.medium.ap-south-1b",
  mode: "spot",
  parentInstanceId: null,
  status: "syncing",
  syncStatus: "syncing",
  isActive: true,
  stateTransferProgress: 40,
  syncLatencyMs: null,
  hourlyCost: "0.013400",
  createdBy: "system",
  because: null,
  createdAt: "2026-03-01T12:00:00.000000Z",
  launchedAt: null,
  readyAt: null,
  promotedAt: null,
  terminatedAt: null,
};

async function cellsOf(change: Partial<Replica>): Promise<string[]> {
  globalThis.fetch = async (input) =>
    (input as Request).url.includes("/replicas")
      ? Response.json({ items: [{ ...LIVING, ...change }], nextCursor: null })
      : Response.json({ detail: "no such page" }, { status: 404 });
  render(
    <MantineProvider>
      <QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false } } })}>
        <Replicas agent={detailOf()} />
      </QueryClientProvider>
    </MantineProvider>,
  );
  const row = (await screen.findByText("i-2")).closest("tr") as HTMLTableRowElement;
  return [...row.cells].map((cell) => cell.textContent ?? "");
}

describe("a replica", () => {
  it("that lives will be ready, and its lag is to be known", async () => {
    expect(await cellsOf({})).toEqual(expect.arrayContaining(["40 %", "unknown", "not yet"]));
  });

  it("that is on demand says so beside its type and zone", async () => {
    expect(await cellsOf({ mode: "ondemand" })).toContain("t3.medium.ap-south-1b (on demand)");
  });

  it("whose role is over waits for nothing more", async () => {
    const cells = await cellsOf({ isActive: false, status: "promoted", stateTransferProgress: 100 });
    expect(cells).toEqual(expect.arrayContaining(["100 %", "–", "never"]));
    expect(cells).not.toContain("not yet");
  });
});
