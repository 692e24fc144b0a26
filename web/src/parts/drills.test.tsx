import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, describe, expect, it } from "vitest";
import type { Schemas } from "../api/client";
import { detailOf } from "../test/agents";
import { Drills } from "./agent/Drills";
import { Preview } from "./agent/Preview";

afterEach(cleanup);

const RESTORE: Schemas["RestorePreview"] = {
  imageId: "ami-1",
  imageMadeAt: "2026-03-01T12:00:00.000000Z",
  stateAgeSeconds: 250,
  mode: "spot",
  pool: "t3.medium.ap-south-1b",
  usdPerHour: "0.012000",
  quarantineGroup: null,
  mostSeconds: 2400,
};

async function asked(quarantineGroup: string | null): Promise<string> {
  globalThis.fetch = async (input) => {
    const { url } = input as Request;
    if (url.endsWith("/drill"))
      return Response.json({
        dryRun: true,
        drill: null,
        move: null,
        restore: { ...RESTORE, quarantineGroup },
      });
    if (url.endsWith("/controls")) return Response.json({});
    return Response.json({ items: [], nextCursor: null });
  };
  const agent = detailOf();
  render(
    <MantineProvider>
      <QueryClientProvider client={new QueryClient()}>
        <Drills agent={{ ...agent, config: { ...agent.config, quarantineGroup } }} />
      </QueryClientProvider>
    </MantineProvider>,
  );
  fireEvent.click(screen.getByRole("button", { name: "Rehearse a restore…" }));
  const dialog = await screen.findByRole("dialog");
  await screen.findByText("ami-1");
  return dialog.textContent ?? "";
}

describe("the question before a restore drill", () => {
  it("promises quarantine where there is a group for the clone", async () => {
    const dialog = await asked("sg-1");
    expect(dialog).toMatch(/^Boot the newest restore point in quarantine/);
    expect(dialog).not.toContain("not in quarantine");
  });

  it("warns first where the clone would run beside who serves", async () => {
    const dialog = await asked(null);
    expect(dialog).toMatch(/^Boot the newest restore point beside who serves ?It is not in quarantine/);
  });
});

describe("the question before a move", () => {
  it("does not say that a standby has the state where one is still to be made", () => {
    const move = {
      kind: "synced",
      because: "no standby is there: an emergency replica is launched and synced first",
      warnings: [],
      steps: [],
      traffic: null,
      stateGib: null,
    };
    render(
      <MantineProvider>
        <Preview move={move as unknown as Schemas["MovePreview"]} />
      </MantineProvider>,
    );
    const told = screen.getByText(/This time/).textContent;
    expect(told).toContain("This time: no standby is there");
    expect(told).not.toContain("a standby has the state");
  });
});
