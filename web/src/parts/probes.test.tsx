import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createRootRoute, createRouter, RouterProvider } from "@tanstack/react-router";
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, describe, expect, it } from "vitest";
import type { Schemas } from "../api/client";
import { CapacityProbes } from "./CapacityProbes";
import { NewestProbes } from "./NewestProbes";

afterEach(cleanup);

type Probe = Schemas["ProbeState"];

const LOOK: Probe = {
  id: "p1",
  agentId: "a1",
  poolId: "t3.medium.ap-south-1b",
  status: "over",
  up: true,
  usdPerHour: "0.013400",
  usd: "0.000223333",
  worthUsd: "0.104000",
  because: "t3.medium.ap-south-1b, never looked at: if it is calm, knowing it is worth 0.1040 USD",
  answer: "i-00000000000000009 was launched",
  instanceId: "i-00000000000000009",
  createdAt: "2026-03-01T12:00:00.000000Z",
  completedAt: "2026-03-01T12:00:20.000000Z",
};

const OFF: Schemas["Probes"] = { usdPerDay: "0.000000", spentUsd: "0", items: [], nextCursor: null };
const ON: Schemas["Probes"] = { ...OFF, usdPerDay: "0.500000", spentUsd: "0.000223333", items: [LOOK] };

/** A server that tells this, and refuses what is put with `refusal` if there is one; what was put. */
function answering(
  told: Schemas["Probes"],
  refusal?: Partial<Schemas["Problem"]> & { status: number },
): unknown[] {
  const put: unknown[] = [];
  let now = told;
  globalThis.fetch = async (input) => {
    const request = input as Request;
    if (request.method === "GET") return Response.json(now);
    const wanted = (await request.json()) as { usdPerDay: string };
    put.push(wanted);
    if (refusal) return Response.json(refusal, { status: refusal.status });
    now = { ...now, usdPerDay: Number(wanted.usdPerDay).toFixed(6) };
    return Response.json(now);
  };
  return put;
}

function shown() {
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  const page = () => (
    <>
      <CapacityProbes />
      <NewestProbes />
    </>
  );
  const router = createRouter({ routeTree: createRootRoute({ component: page }) });
  return render(
    <MantineProvider>
      <QueryClientProvider client={client}>
        <RouterProvider router={router as never} />
      </QueryClientProvider>
    </MantineProvider>,
  );
}

const field = async () => (await screen.findByLabelText(/^Most USD a day/)) as HTMLInputElement;
const button = (name: string) => screen.queryByRole("button", { name }) as HTMLButtonElement;
const fact = (name: string) => screen.getByText(name).nextElementSibling as HTMLElement;
const cells = () =>
  Object.fromEntries(
    [...document.querySelectorAll<HTMLElement>("tbody td")].map((cell) => [
      cell.dataset.head,
      cell.textContent,
    ]),
  );

describe("the budget of capacity probes", () => {
  it("is off at first, says so, and is set by what was typed, never through a float", async () => {
    const put = answering(OFF);
    shown();
    expect((await field()).value).toBe("0");
    expect([fact("Budget of a day (UTC)").textContent, button("Turn off")]).toEqual(["off", null]);
    expect(screen.getByText("None: no launch is made only to look.")).toBeTruthy();
    fireEvent.change(await field(), { target: { value: " 0.10 " } });
    fireEvent.click(button("Store"));
    await waitFor(() => expect(fact("Budget of a day (UTC)").textContent).toBe("$0.1000"));
    expect(put).toEqual([{ usdPerDay: "0.10" }]);
    expect((await field()).value).toBe("0.1");
    expect(screen.getByText(/^None yet: one is bought once/)).toBeTruthy();
  });
  it("is turned off by one click, and the focus is not lost with its button", async () => {
    const put = answering(ON);
    shown();
    expect((await field()).value).toBe("0.5");
    expect(fact("Spent since midnight UTC").querySelector("span")?.title).toBe("$0.000223333");
    button("Turn off").focus();
    fireEvent.click(button("Turn off"));
    await waitFor(() => expect(fact("Budget of a day (UTC)").textContent).toBe("off"));
    expect(put).toEqual([{ usdPerDay: "0" }]);
    expect([button("Turn off"), document.activeElement]).toEqual([null, await field()]);
  });
  it("beyond the API's bounds is told at its field, and nothing is sent", async () => {
    const put = answering(ON);
    shown();
    for (const typed of ["", "-1", "10000", "0.1234567", "1e2", "much"]) {
      fireEvent.change(await field(), { target: { value: typed } });
      expect(
        screen.getByText("a number of at most six decimals from 0 to 9999.999999; nothing is stored"),
      ).toBeTruthy();
      fireEvent.submit((await field()).closest("form") as HTMLFormElement);
    }
    fireEvent.change(await field(), { target: { value: "9999.999999" } });
    expect(button("Store").disabled).toBe(false);
    expect(put).toEqual([]);
  });
  it("that the server calls invalid is told at its field until something else is typed", async () => {
    const errors = [{ pointer: "/usdPerDay", detail: "takes 0 at the least" }];
    answering(ON, { status: 422, detail: "well-formed but not valid", errors });
    shown();
    fireEvent.change(await field(), { target: { value: "3" } });
    fireEvent.click(button("Store"));
    await waitFor(async () => expect((await field()).getAttribute("aria-invalid")).toBe("true"));
    expect([screen.getByText("takes 0 at the least"), screen.queryByRole("alert")]).toEqual([
      expect.anything(),
      null,
    ]);
    fireEvent.change(await field(), { target: { value: "4" } });
    expect(screen.queryByText("takes 0 at the least")).toBeNull();
  });
  it("that this session may not set stays, with the server's reason", async () => {
    answering(ON, { status: 403, detail: "this session may only read" });
    shown();
    await field();
    fireEvent.click(button("Turn off"));
    expect((await screen.findByRole("alert")).textContent).toContain("this session may only read");
    expect(fact("Budget of a day (UTC)").textContent).toBe("$0.5000");
  });
  it("that could not be read is not called off, and has no form", async () => {
    globalThis.fetch = async () =>
      Response.json({ detail: "the database cannot serve now" }, { status: 503 });
    shown();
    const told = (await screen.findAllByRole("alert")).map((one) => one.textContent);
    expect(told).toEqual([
      "The budget could not be readthe database cannot serve now",
      "Probes could not be readthe database cannot serve now",
    ]);
    expect([screen.queryByText("off"), button("Store")]).toEqual([null, null]);
  });
});

describe("the newest probes", () => {
  it("have their pool, answer, cost, reason and times, as the API tells them", async () => {
    answering(ON);
    shown();
    await screen.findByText(LOOK.poolId);
    expect(cells()).toMatchObject({
      Pool: LOOK.poolId,
      Answer: "capacity i-00000000000000009 was launched",
      Cost: "$0.00022",
      "$/h": "$0.0134",
      "Bought because": LOOK.because,
      State: "over",
    });
    const times = [...document.querySelectorAll("tbody time")].map((one) => one.getAttribute("datetime"));
    expect(times).toEqual([LOOK.createdAt, LOOK.completedAt]);
    expect(screen.getByRole("link").getAttribute("href")).toBe("/agents/a1");
  });
  it("call unknown what nobody knows, and no refusal an answer of EC2 that has not come", async () => {
    const none = { up: null, answer: null, completedAt: null } as const;
    const said = async (look: Partial<Probe>) => {
      answering({ ...ON, items: [{ ...LOOK, ...look }] });
      shown();
      await screen.findByText(LOOK.poolId);
      const { Answer, Ended } = cells();
      cleanup();
      return [Answer?.trim(), Ended];
    };
    expect(await said({ ...none, status: "waiting" })).toEqual(["not yet known", "not yet"]);
    expect(await said({ ...none, status: "ending" })).toEqual(["unknown", "not yet"]);
    expect((await said({ up: false, answer: "InsufficientInstanceCapacity" }))[0]).toBe(
      "no capacity InsufficientInstanceCapacity",
    );
  });
});
