import { MantineProvider } from "@mantine/core";
import { cleanup, render } from "@testing-library/react";
import { afterEach, describe, expect, it } from "vitest";
import type { AgentDetail } from "../api/queries";
import { Lost } from "./agent/Lost";

afterEach(cleanup);

type LostState = NonNullable<AgentDetail["lostState"]>;

const OFFERED: LostState = {
  switchId: "s1",
  volumeId: "vol-1",
  status: "offered",
  files: 26,
  bytes: 1664,
  newestAt: "2026-03-01T12:00:17.000000Z",
  because: null,
  createdAt: "2026-03-01T12:01:00.000000Z",
  completedAt: "2026-03-01T12:04:00.000000Z",
  keptUntil: null,
  volumeDeletedAt: null,
};

function told(change: Partial<LostState>): string {
  const shown = render(
    <MantineProvider>
      <Lost lost={{ ...OFFERED, ...change }} />
    </MantineProvider>,
  );
  return shown.container.querySelector("p")?.textContent ?? "";
}

describe("what a dead instance's volume has", () => {
  it("is told with its size and how long it can be recovered", () => {
    expect(told({})).toMatch(
      /^The dead instance's volume vol-1 has 26 files \(1664 bytes\) .* by hand .* kept until a person deletes it\.$/,
    );
    expect(told({ keptUntil: "2026-03-02T12:01:00.000000Z" })).toMatch(
      /kept until .*2026.*, then deleted\.$/,
    );
  });

  it("is offered no more when the volume is deleted", () => {
    const line = told({ volumeDeletedAt: "2026-03-02T12:00:25.000000Z" });
    expect(line).toContain("; the volume was deleted ");
    expect(line).not.toContain("by hand");
  });

  it("may be nothing", () => {
    expect(told({ files: 0, bytes: 0, newestAt: null })).toBe(
      "The dead instance's volume vol-1 has no file that is lacking here, or older here, by path, time and size; what is in the files was not compared.",
    );
  });

  it("says why it could not be compared", () => {
    expect(told({ status: "failed", files: null, bytes: null, because: "EC2 made no copy" })).toBe(
      "The dead instance's volume vol-1: failed: EC2 made no copy; what the dead instance left is kept until a person deletes it.",
    );
  });

  it("is named by nobody where it is not known on which one the state lies", () => {
    expect(
      told({ status: "failed", volumeId: null, files: null, bytes: null, because: "nobody said so" }),
    ).toContain("volume that has the state: failed: nobody said so; ");
  });
});
