import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, describe, expect, it } from "vitest";
import type { Schemas } from "../api/client";
import type { Switch } from "../api/queries";
import { means } from "../lib/words";
import { split, Timeline } from "./MoveLine";

afterEach(cleanup);

function shown(children: ReactNode) {
  const client = new QueryClient();
  return render(
    <MantineProvider>
      <QueryClientProvider client={client}>{children}</QueryClientProvider>
    </MantineProvider>,
  );
}

describe("the timeline of a switch", () => {
  const step = (name: Schemas["Step"], at: string) => ({
    step: name,
    at: `2026-01-01T${at}Z`,
    actor: "server",
    detail: null,
  });
  const past = [step("launched", "00:00:00"), step("synced", "11:48:00")];
  const moved = [step("decided", "12:00:00"), step("gate_closed", "12:00:02")];

  it("begins with the decision, and what its standby did before stands apart", () => {
    const move = { steps: [...past, ...moved], due: null, endedBecause: null, lostSeconds: null };
    shown(<Timeline move={move as unknown as Switch} />);
    const told = [...screen.getByLabelText("Steps").children].map((one) => one.textContent ?? "");
    expect(told.map((one) => one.slice(0, 12))).toEqual(["begindecided", "+2 sworkload"]);
    expect(screen.getByText(/The standby before/).textContent).toMatch(
      /new instance launched.*, a complete pass/,
    );
  });
  it("tells of the next step its deadline, and not when it comes", () => {
    const due = { step: "old_ended", at: "2026-01-01T12:20:00Z", late: "alarm" };
    shown(
      <Timeline move={{ steps: moved, due, endedBecause: null, lostSeconds: null } as unknown as Switch} />,
    );
    expect(screen.getByText(/at the latest/).textContent).toMatch(
      /^old instance ended, .* at the latest \(if/,
    );
  });
  it("has a launch that another clock puts just before its decision among its steps", () => {
    const skewed = [step("launched", "11:59:58"), ...moved];
    expect(split(skewed)).toEqual([[], skewed]);
  });
  it("says of a recovery what carried the state, not of a last delta", () => {
    expect(means({ kind: "synced", isRecovery: true })).toBe(
      "the standby is promoted with its newest complete pass",
    );
    expect(means({ kind: "synced", isRecovery: false })).toContain("the last delta travels");
    expect(means({ kind: "snapshot", isRecovery: true })).toContain("snapshotted");
  });
});
