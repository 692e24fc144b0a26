import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider, useQuery } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, describe, expect, it } from "vitest";
import type { Schemas } from "../api/client";
import { type AgentDetail, agentQuery, type Replica, type Switch } from "../api/queries";
import { detailOf, REPLICA } from "../test/agents";
import { Approval } from "./agent/Approval";
import { cheapestSafe, linesOf } from "./agent/Panel";
import { Protection } from "./agent/Protection";
import { Ask } from "./agent/Replicas";
import { LIGHT, optionsOf } from "./Chart";
import { Percent, Usd, When } from "./figures";
import { Limits } from "./Limits";
import { Downtime, SavedAnHour } from "./MoveLine";

afterEach(cleanup);

function shown(children: ReactNode, client = new QueryClient()) {
  return render(
    <MantineProvider>
      <QueryClientProvider client={client}>{children}</QueryClientProvider>
    </MantineProvider>,
  );
}

describe("figures", () => {
  it("say unknown, never zero", () => {
    const { container } = shown([
      <Usd key="u" of={null} />,
      <Percent key="p" of={null} />,
      <When key="w" at={null} />,
    ]);
    expect(container.textContent).toContain("unknownunknownunknown");
  });
  it("have no sign where they are rounded to nothing", () => {
    const { container } = shown([<Percent key="a" of={-0.04} />, <Percent key="b" of={-0.06} />]);
    expect(container.textContent).toContain("0.0 %−0.1 %");
    expect(container.textContent).not.toContain("−0.0");
  });
  it("are rounded for reading and exact in their title; times have UTC there", () => {
    shown([<Usd key="u" of="0.013372" />, <When key="w" at="2026-03-01T12:00:00.000000Z" />]);
    expect(screen.getByText("$0.0134").title).toBe("$0.013372");
    expect(document.querySelector("time")?.title).toBe("2026-03-01 12:00:00 UTC");
  });
});

const offer = (id: string, price: string | null, allowed = true): Schemas["PoolOffer"] => ({
  id,
  name: id,
  az: id,
  price,
  ageSeconds: 1,
  savingPercent: null,
  risk: null,
  quarantinedUntil: null,
  allowed,
  because: allowed ? "allowed" : "it refused a launch",
  aboveRiskLimit: false,
});

describe("the manual switching panel", () => {
  const pools = [offer("c", null), offer("b", "0.02"), offer("a", "0.01", false), offer("d", "0.03")];
  it("has on demand on top, then pools by price, those without a price last", () => {
    const lines = linesOf({ currentMode: "spot", currentPool: "d", onDemand: "0.05", pools });
    expect(lines.map((line) => line.key)).toEqual(["ondemand", "a", "b", "d", "c"]);
    expect(lines.filter((line) => line.isPresent).map((line) => line.key)).toEqual(["d"]);
  });
  it("marks the cheapest that is allowed, and none when none is", () => {
    expect(cheapestSafe(pools)).toBe("b");
    expect(cheapestSafe([offer("a", "0.01", false), offer("c", null)])).toBeNull();
  });
  it("calls no pool safe whose risk exceeds the agent's own limit, though a return may go there", () => {
    const risky = { ...offer("b", "0.02"), risk: 59.8, aboveRiskLimit: true };
    expect(cheapestSafe([risky, offer("d", "0.03")])).toBe("d");
  });
});

const free: Schemas["Control"] = { allowed: true, because: null };
const FREE: Schemas["AgentControls"] = {
  move: free,
  automatic: free,
  manual: free,
  autonomyAuto: free,
  createReplica: free,
  failoverDrill: free,
  restoreDrill: free,
  delete: free,
  approve: null,
  promote: {},
};

/** A server of one answer to changes, and of these controls, in front of the real client. */
function answering(
  status: number,
  body: unknown,
  controls: Schemas["AgentControls"] = FREE,
): () => Request[] {
  const asked: Request[] = [];
  globalThis.fetch = async (input) => {
    const request = input as Request;
    if (request.url.endsWith("/controls")) return Response.json(controls);
    if (request.method === "GET") return new Promise(() => undefined);
    asked.push(request);
    return new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });
  };
  return () => asked;
}

function Watched({ client, agent }: { client: QueryClient; agent: AgentDetail }) {
  client.setQueryData(agentQuery(agent.id).queryKey, agent);
  return <Protection agent={agent} />;
}

/** As the page shows it: what is known of the agent, whatever becomes of it. */
function Shown({ client, agent }: { client: QueryClient; agent: AgentDetail }) {
  const { data } = useQuery({ ...agentQuery(agent.id), initialData: agent, staleTime: 60_000 }, client);
  return <Protection agent={data} />;
}

describe("the chart", () => {
  const drawn = (...at: number[]) =>
    optionsOf(
      {
        data: [at, at.map(() => 0.01)],
        labels: [{ name: "a", isServing: true, isOnDemand: false }],
        marks: [],
      },
      LIGHT,
      800,
      true,
    );
  it("draws the one price that is known, within its hour; more are lines", () => {
    const { scales, series } = drawn(7_200);
    expect([scales?.x?.range, series[1]?.points?.show]).toEqual([[5_400, 9_000], true]);
    expect([drawn(0, 60).scales?.x, drawn(0, 60).series[1]?.points?.show]).toEqual([undefined, false]);
  });
});

describe("the toggles", () => {
  it("are stored by one request and exclude each other at once", async () => {
    const client = new QueryClient();
    const agent = detailOf();
    const asked = answering(200, agent.config);
    shown(<Watched client={client} agent={agent} />, client);
    fireEvent.click(screen.getByLabelText(/Manual replica/));
    await waitFor(() => expect(asked()[0]?.method).toBe("POST"));
    expect(await asked()[0]?.json()).toEqual({ manualReplicaEnabled: true });
    const now = client.getQueryData(agentQuery(agent.id).queryKey);
    expect([now?.config.manualReplicaEnabled, now?.config.autoSwitchEnabled]).toEqual([true, false]);
  });
  it("go back when the server refuses, and say why", async () => {
    const client = new QueryClient();
    const agent = detailOf();
    answering(409, { detail: "auto needs a failover drill that passed in the last 90 days", status: 409 });
    shown(<Watched client={client} agent={agent} />, client);
    fireEvent.click(screen.getByLabelText(/End the old instance/));
    expect((await screen.findByRole("alert")).textContent).toContain("auto needs a failover drill");
    expect(client.getQueryData(agentQuery(agent.id).queryKey)?.config.autoTerminateEnabled).toBe(true);
  });
  it("are sent one after the other, and a refused one takes none of the others back, nor hides its reason", async () => {
    const client = new QueryClient();
    const agent = detailOf();
    const answers: ((answer: Response) => void)[] = [];
    globalThis.fetch = async (input) => {
      const request = input as Request;
      if (request.url.endsWith("/controls")) return Response.json(FREE);
      if (request.method === "GET") return new Promise(() => undefined);
      return new Promise((resolve) => answers.push(resolve));
    };
    shown(<Shown client={client} agent={agent} />, client);
    fireEvent.click(screen.getByLabelText(/End the old instance/));
    fireEvent.click(screen.getByLabelText(/^Enabled/));
    await waitFor(() => expect(answers.length).toBe(1));
    const config = () => client.getQueryData(agentQuery(agent.id).queryKey)?.config;
    await waitFor(() => expect([config()?.autoTerminateEnabled, config()?.enabled]).toEqual([false, false]));
    answers[0]?.(Response.json({ detail: "not while it moves", status: 409 }, { status: 409 }));
    await waitFor(() => expect(answers.length).toBe(2));
    expect([config()?.autoTerminateEnabled, config()?.enabled]).toEqual([true, false]);
    answers[1]?.(Response.json(agent.config));
    expect((await screen.findByRole("alert")).textContent).toContain("not while it moves");
  });
  it("whose answer was lost say that nobody knows whether they were applied", async () => {
    globalThis.fetch = async (input) => {
      const request = input as Request;
      if (request.method === "GET") return Response.json(FREE);
      throw new TypeError("Failed to fetch");
    };
    const client = new QueryClient();
    shown(<Watched client={client} agent={detailOf()} />, client);
    fireEvent.click(screen.getByLabelText(/End the old instance/));
    expect((await screen.findByRole("alert")).textContent).toContain("look whether it was applied");
  });
  it("that the server bars are disabled with its reason, and the others are not", async () => {
    const because = "autonomy auto needs a passed failover drill within 90 days, and this agent has none";
    const barred = { allowed: false, because };
    answering(
      200,
      {},
      { ...FREE, autonomyAuto: barred, manual: { allowed: false, because: "nothing syncs" } },
    );
    const agent = detailOf({ config: { ...detailOf().config, autonomy: "observe" } });
    shown(<Watched client={new QueryClient()} agent={agent} />);
    expect(await screen.findByText(`Not auto now: ${because}`)).toBeTruthy();
    expect(screen.getByText("No manual replica now: nothing syncs")).toBeTruthy();
    const isDisabled = (label: RegExp) => (screen.getByLabelText(label) as HTMLInputElement).disabled;
    expect([isDisabled(/Manual replica/), isDisabled(/Neither/)]).toEqual([true, false]);
    expect((screen.getByRole("option", { name: /^auto/ }) as HTMLOptionElement).disabled).toBe(true);
    expect((screen.getByRole("option", { name: /^approve/ }) as HTMLOptionElement).disabled).toBe(false);
  });
  it("tell what a standby costs, and what of it is unknown", () => {
    const client = new QueryClient();
    answering(200, {});
    shown(<Watched client={client} agent={detailOf()} />, client);
    expect(screen.getByTestId("standby-cost").textContent).toBe(
      "With a standing replica: $0.0134 primary + $0.0141 standby + unknown disks = unknown an hour, beside $0.0448 on demand.",
    );
  });
});

describe("a move that awaits a person's word", () => {
  const decision: Schemas["DecisionState"] = {
    id: "d1",
    agentId: "a1",
    aim: "save",
    because: "cheaper by 33 %",
    commandId: null,
    decidedAt: "2026-03-01T12:00:00.000000Z",
    expiresAt: "2026-03-01T18:00:00.000000Z",
    inputs: {},
    policy: "rules-v1",
    targetMode: "spot",
    targetPoolId: "t3.medium.ap-south-1b",
    verdict: "await_approval",
  };
  const preview: Schemas["MovePreview"] = {
    autoTerminate: true,
    because: "no verified sync",
    deadlineAt: "2026-03-01T13:00:00.000000Z",
    downtimeFrom: "estimated",
    downtimeMinutes: 7,
    kept: null,
    kind: "image",
    newUsdPerHour: "0.020800",
    oldUsdPerHour: "0.031200",
    onDemandUsdPerHour: "0.044800",
    overlapFrom: "planned",
    overlapMinutes: 30,
    overlapUsd: "0.010400",
    savedUsdPerHour: "0.010400",
    stateGib: 8,
    steps: [],
    targetMode: "spot",
    targetPool: "t3.medium.ap-south-1b",
    terminateWaitSeconds: 1800,
    traffic: null,
    warnings: [],
  };
  it("is approved after its consequences were shown in numbers", async () => {
    const asked: string[] = [];
    globalThis.fetch = async (input) => {
      const { url, method } = input as Request;
      asked.push(`${method} ${new URL(url).pathname.split("/").slice(-2).join("/")}`);
      if (url.endsWith("/controls")) return Response.json(FREE);
      return Response.json(url.endsWith("/preview") ? preview : decision);
    };
    shown(<Approval agent={detailOf({ awaitingDecisionId: "d1" })} />);
    fireEvent.click(await screen.findByRole("button", { name: "Approve the move…" }));
    const dialog = await screen.findByRole("dialog");
    await waitFor(() => expect(dialog.textContent).toContain("7 min (estimated)"));
    expect(dialog.textContent).toContain("Saved an hour$0.0104");
    expect(asked).not.toContain("POST d1/approve");
    const button = screen.getByRole("button", { name: "Approve it" });
    fireEvent.click(button);
    fireEvent.click(button); // a double click orders once
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
    expect(asked.filter((one) => one === "POST d1/approve")).toHaveLength(1);
  });
});

describe("the question before a standby is promoted", () => {
  const standby = (change: Partial<Replica>): Replica => ({
    ...REPLICA,
    stateTransferProgress: 40,
    syncLatencyMs: 9_000,
    ...change,
  });
  const ask = (replica: Replica, promote: Schemas["Control"] = free) => (
    <MantineProvider>
      <QueryClientProvider client={new QueryClient()}>
        <Ask agentId="a1" what="promote" replica={replica} promote={promote} onClose={() => undefined} />
      </QueryClientProvider>
    </MantineProvider>
  );
  const action = () => screen.queryByRole("button", { name: "Promote it" });
  it("tells what is so now, and takes no word for what is gone meanwhile", async () => {
    const { rerender } = render(ask(standby({})));
    expect((await screen.findByRole("dialog")).textContent).toContain("40 % of the state");
    rerender(ask(standby({ stateTransferProgress: 100, syncLatencyMs: 200 })));
    expect(screen.getByRole("dialog").textContent).toContain("100 % of the state has reached it, lag 0.2 s");
    expect(action()).not.toBeNull();
    rerender(ask(standby({}), { allowed: false, because: "a signal of AWS stands against it" }));
    expect(screen.getByRole("dialog").textContent).toContain("a signal of AWS stands against it");
    expect(action()).toBeNull();
    rerender(ask(standby({ status: "terminated", isActive: false })));
    expect(screen.getByRole("dialog").textContent).toContain("It stands by no more");
    expect(action()).toBeNull();
  });
});

describe("a move", () => {
  const move = (change: Partial<Switch>) => ({ savingsImpact: "0.008500", ...change }) as Switch;
  it("that did not happen has saved nothing", () => {
    const saved = (status: Switch["status"]) =>
      shown(<SavedAnHour move={move({ status })} />).container.textContent;
    expect(saved("completed")).toContain("$0.0085");
    expect(saved("unwound")).not.toContain("$");
    expect(saved("failed")).not.toContain("$");
  });
  it("tells its measured downtime, and unknown where nobody measured it", () => {
    const told = (downtimeSeconds: number | null) =>
      shown(<Downtime move={move({ downtimeSeconds })} />).container.textContent;
    expect(told(0.7)).toContain("0.7 s");
    expect(told(null)).toContain("unknown");
  });
});

describe("a spending cap", () => {
  it("is stored alone: what another tab has set meanwhile stays", async () => {
    const asked = answering(200, {});
    shown(<Limits limits={{ maxInstances: 5, maxHourlyUsd: "2.500000", maxLaunchesPerHour: null }} />);
    fireEvent.change(screen.getByLabelText("Most launches an hour"), { target: { value: "3" } });
    fireEvent.click(screen.getByRole("button", { name: "Store" }));
    await waitFor(() => expect(asked()).toHaveLength(1));
    expect(await asked()[0]?.json()).toEqual({ maxLaunchesPerHour: 3 });
  });
  it("is stored without the focus being lost, and shows what somebody else has stored meanwhile", async () => {
    let answer: (told: Response) => void = () => undefined;
    globalThis.fetch = () => new Promise((resolve) => (answer = resolve));
    const client = new QueryClient();
    const caps = { maxInstances: 5, maxHourlyUsd: null, maxLaunchesPerHour: null };
    const form = (limits: Schemas["Limits"]) => (
      <MantineProvider>
        <QueryClientProvider client={client}>
          <Limits limits={limits} />
        </QueryClientProvider>
      </MantineProvider>
    );
    const { rerender } = render(form(caps));
    const field = screen.getByLabelText("Most instances") as HTMLInputElement;
    fireEvent.change(field, { target: { value: "7" } });
    const store = screen.getByRole("button", { name: "Store" });
    store.focus();
    fireEvent.click(store);
    await waitFor(() => expect((store as HTMLButtonElement).disabled).toBe(true));
    store.blur(); // what a browser does with what is disabled
    answer(Response.json({ ...caps, maxInstances: 7 }));
    rerender(form({ ...caps, maxInstances: 7 }));
    await waitFor(() => expect(document.activeElement).toBe(store));
    rerender(form({ ...caps, maxInstances: 9 }));
    expect([field.isConnected, field.value]).toEqual([true, "9"]);
  });
  it("that is no number is told beside its field, and lifts no cap", () => {
    const asked = answering(200, {});
    shown(<Limits limits={{ maxInstances: 5, maxHourlyUsd: null, maxLaunchesPerHour: null }} />);
    fireEvent.change(screen.getByLabelText("Most instances"), { target: { value: "five" } });
    fireEvent.submit(screen.getByRole("button", { name: "Store" }).closest("form") as HTMLFormElement);
    expect(screen.getByText(/a whole number from 0 to 2147483647, or empty; nothing is stored/)).toBeTruthy();
    expect(asked()).toEqual([]);
  });
});
