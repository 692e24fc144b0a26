import { describe, expect, it } from "vitest";
import { EventLines } from "../api/sse";
import { agentOf } from "../test/agents";
import { chartOf } from "./chart";
import { courseChart } from "./courses";
import { BY_NAME, lookedIn, lookedOf, matches, NO_FILTERS, sorted, sumOf } from "./fleet";
import { fromMicros, isNothing, micros, shortest, usdText } from "./money";
import { numberIn } from "./numbers";
import { dayAfter, span } from "./time";

describe("money", () => {
  it("is never a float: a sum of ten thousand tenths of a cent is exact", () => {
    const sum = Array.from({ length: 10_000 }, () => micros("0.001100")).reduce((a, b) => a + b, 0n);
    expect(fromMicros(sum)).toBe("11.000000");
  });
  it("is rounded half away from zero and keeps its sign", () => {
    expect(usdText("0.031250", 4)).toBe("$0.0313");
    expect(usdText("-0.031250", 4)).toBe("−$0.0313");
    expect(usdText("-0.000001", 4)).toBe("$0.0000");
    expect(usdText("1234.5", 2)).toBe("$1234.50");
    expect(usdText("12", 0)).toBe("$12");
  });
  it("is as one would type it, and nothing only where it is exactly that", () => {
    expect(["0.500000", "10", "100.00", "0.000000", "0"].map(shortest)).toEqual([
      "0.5",
      "10",
      "100",
      "0",
      "0",
    ]);
    expect(["0", "0.000000", "0.000000001"].map(isNothing)).toEqual([true, true, false]);
  });
});

describe("spans of time", () => {
  it("have two units at the most", () => {
    expect([0.4, 59.97, 5, 60, 125, 3600, 90_061].map(span)).toEqual([
      "0.4 s",
      "1 min",
      "5 s",
      "1 min",
      "2 min 5 s",
      "1 h",
      "1 d 1 h",
    ]);
  });
});

describe("the day after", () => {
  it("is the next, over months, leap days and nights that the clocks change, and never fails", () => {
    expect(["2026-02-28", "2028-02-28", "2026-12-31", "2026-03-29"].map(dayAfter)).toEqual([
      "2026-03-01",
      "2028-02-29",
      "2027-01-01",
      "2026-03-30",
    ]);
    expect(dayAfter("20266-01-01")).toBe("20266-01-01");
  });
});

describe("the event stream", () => {
  it("is read whole however its bytes are cut, comments left out", () => {
    const text = 'retry: 2000\n\n: still here\n\nid: 7\nevent: gate\ndata: {"a":1}\n\nid: 8\ndata: {}\n\n';
    for (let cut = 1; cut < text.length; cut += 1) {
      const lines = new EventLines();
      const told = [...lines.read(text.slice(0, cut)), ...lines.read(text.slice(cut))];
      expect(told).toEqual([
        { id: "7", kind: "gate", data: '{"a":1}' },
        { id: "8", kind: "", data: "{}" },
      ]);
    }
  });
});

describe("the fleet", () => {
  const web = agentOf();
  const db = agentOf({
    id: "a2",
    logicalAgentId: "db",
    priceUsd: null,
    savingPercent: null,
    health: "silent",
  });
  const job = agentOf({ id: "a3", logicalAgentId: "job", currentMode: "ondemand", priceUsd: "0.044800" });

  it("sums what is known and counts what is not", () => {
    expect(sumOf([web, db, job])).toEqual({
      usd: "0.058200",
      onDemandUsd: "0.089600",
      savedPercent: 35.04,
      unknown: 1,
    });
    expect(sumOf([db]).savedPercent).toBeNull();
  });
  it("has unknown figures last, whichever way it is sorted", () => {
    const names = (falling: boolean) =>
      sorted([db, job, web], { by: "price", falling }).map((one) => one.logicalAgentId);
    expect(names(false)).toEqual(["web", "job", "db"]);
    expect(names(true)).toEqual(["job", "web", "db"]);
  });
  it("is filtered by text, health and mode together", () => {
    const pass = (filters: object) =>
      [web, db, job].filter((one) => matches(one, { ...NO_FILTERS, ...filters })).map((one) => one.id);
    expect(pass({ text: " WEB " })).toEqual(["a1"]);
    expect(pass({ health: "silent" })).toEqual(["a2"]);
    expect(pass({ mode: "spot", text: "ap-south-1a" })).toEqual(["a1", "a2"]);
  });
});

describe("what is looked for", () => {
  it("is found again in the page's address, and nothing else is believed there", () => {
    const looked = {
      filters: { text: "web 1", health: "silent", mode: "spot" },
      sorting: { by: "price", falling: true },
    } as const;
    expect(lookedIn(lookedOf(looked.filters, looked.sorting))).toEqual(looked);
    expect(lookedOf(NO_FILTERS, BY_NAME)).toEqual({});
    const strange = lookedIn({
      text: { a: 1 },
      health: "__proto__",
      mode: 7,
      by: "toString",
      falling: "yes",
    });
    expect(strange).toEqual({ filters: NO_FILTERS, sorting: BY_NAME });
    expect(lookedIn({ text: 17 }).filters.text).toBe("17");
  });
});

describe("the chart", () => {
  it("holds each price until the next and knows nothing before the first or after null", () => {
    const drawn = chartOf(
      {
        pools: [
          {
            id: "a",
            points: [
              ["2026-03-01T00:00:00Z", "0.01"],
              ["2026-03-01T02:00:00Z", null],
            ],
          },
          { id: "b", points: [["2026-03-01T01:00:00Z", "0.02"]] },
        ],
        onDemandPrice: "0.05",
        marks: [],
      },
      "b",
    );
    expect(drawn.data.slice(1)).toEqual([
      [0.01, 0.01, null],
      [null, 0.02, 0.02],
      [0.05, 0.05, 0.05],
    ]);
    expect(drawn.labels.map((label) => label.isServing)).toEqual([false, true, false]);
  });
});

describe("the chart of a backtest", () => {
  it("adds days up exactly, ends where the replay ends, and marks the engine", () => {
    const course = {
      savedPercent: 0,
      savedPercentInterval: null,
      moves: 0,
      returns: 0,
      downSeconds: 0,
      usd: "0.3",
    };
    const days = [
      { day: "2026-03-01", usd: "0.100000" },
      { day: "2026-03-02", usd: "0.200000" },
    ];
    const drawn = courseChart({
      agentId: "a",
      since: "2026-03-01T06:00:00Z",
      until: "2026-03-02T12:00:00Z",
      onDemandUsd: "3",
      onDemandUsdPerHour: "0.1",
      minuteUsd: "0",
      pools: [],
      leftOut: [],
      unknown: [],
      policies: [
        { ...course, policy: "on-demand", days },
        { ...course, policy: "engine", days },
      ],
    });
    const hour = 3600;
    const begin = Date.parse("2026-03-01T06:00:00Z") / 1000;
    expect(drawn.data).toEqual([
      [begin, begin + 18 * hour, begin + 30 * hour],
      [0, 0.1, 0.3],
      [0, 0.1, 0.3],
    ]);
    expect(drawn.labels.map((label) => [label.isServing, label.isOnDemand])).toEqual([
      [false, true],
      [true, false],
    ]);
  });
});

describe("a number field", () => {
  const hours = { min: 1, max: 720, isWhole: true, mayBeEmpty: true };
  it("takes what is within its bounds as it was typed, and empty where that means something", () => {
    expect(numberIn(" 24 ", hours)).toEqual({ value: 24 });
    expect(numberIn("30", { min: 0, max: 100 })).toEqual({ value: 30 });
    expect(numberIn("", hours)).toEqual({ value: null });
  });
  it("refuses the rest with what is allowed, and bends nothing to fit", () => {
    for (const typed of ["0", "721", "1.5", "abc", "-3", "1e2"]) {
      expect(numberIn(typed, hours)).toEqual({
        error: "a whole number from 1 to 720, or empty; nothing is stored",
      });
    }
    expect(numberIn("", { min: 0, max: 100 })).toHaveProperty("error");
    expect(numberIn("100.01", { min: 0, max: 100 })).toHaveProperty("error");
  });
});
