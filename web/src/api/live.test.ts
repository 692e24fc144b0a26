import { QueryClient, QueryObserver } from "@tanstack/react-query";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { agentOf } from "../test/agents";
import { rememberCsrfToken } from "./client";
import { type Fleet, fleetQuery } from "./fleet";
import { type Link, Live } from "./live";
import { eventsQuery, probesQuery } from "./queries";

/** What the page's network is in these stories: a stream whose other end we hold, and agents that answer. */
class Network {
  readonly asked: Request[] = [];
  private speaker: ReadableStreamDefaultController<Uint8Array> | undefined;
  answers: (request: Request) => Promise<Response> = async () => Response.json(agentOf());

  readonly fetch = (what: RequestInfo | URL, how?: RequestInit): Promise<Response> => {
    const request = new Request(new URL(String(what instanceof Request ? what.url : what), location.origin), {
      ...(what instanceof Request && { method: what.method, headers: what.headers }),
      ...how,
    });
    this.asked.push(request);
    return request.url.endsWith("/stream") ? this.stream(request) : this.answers(request);
  };

  say(text: string): void {
    this.speaker?.enqueue(new TextEncoder().encode(text));
  }

  happen(id: number, agentId: string): void {
    this.say(`id: ${id}\nevent: test\ndata: ${JSON.stringify({ agentId })}\n\n`);
  }

  of(path: string): Request[] {
    return this.asked.filter((request) => new URL(request.url).pathname === path);
  }

  private async stream(request: Request): Promise<Response> {
    const body = new ReadableStream<Uint8Array>({
      start: (speaker) => {
        this.speaker = speaker;
        request.signal.addEventListener("abort", () => speaker.error(request.signal.reason));
      },
    });
    return new Response(body);
  }
}

const STREAM = "/api/client/stream";
let network: Network;
let client: QueryClient;
let links: Link[];
let live: Live;

beforeEach(() => {
  vi.useFakeTimers();
  network = new Network();
  vi.stubGlobal("fetch", network.fetch);
  client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  links = [];
  live = new Live(client, (link) => links.push(link));
  void live.run();
});

afterEach(() => {
  live.stop();
  client.clear();
  rememberCsrfToken("");
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const fleetOf = (...agents: Fleet["agents"]): Fleet => ({ agents, complete: true });

describe("the link to the server", () => {
  it("is called live at its first word, not at its headers", async () => {
    await pass(0);
    expect(links).toEqual([]);
    network.say("retry: 2000\n\n");
    await pass(0);
    expect(links).toEqual(["live"]);
  });

  it("that a proxy holds back is given up, and the page asks meanwhile", async () => {
    client.setQueryData(["health"], {});
    client.setQueryData(["backtest", "one", 7], {});
    await pass(5_001);
    expect(client.getQueryState(["health"])?.isInvalidated).toBe(true);
    expect(client.getQueryState(["backtest", "one", 7])?.isInvalidated).toBe(false); // of days that have passed
    await pass(5_000);
    expect(links).toEqual(["polling"]);
  });

  it("that has died without a word is called lost, and resumed after its last event", async () => {
    await pass(0);
    network.say("retry: 2000\n\n");
    network.happen(7, "one");
    await pass(39_000);
    network.say(": still here\n\n");
    await pass(39_000);
    expect(links).toEqual(["live"]);
    await pass(1_001);
    expect(links).toEqual(["live", "polling"]);
    await pass(5_000);
    expect(network.of(STREAM).at(-1)?.headers.get("Last-Event-ID")).toBe("7");
    client.setQueryData(["health"], {});
    network.say("retry: 2000\n\n");
    await pass(0);
    expect(client.getQueryState(["health"])?.isInvalidated).toBe(true);
  });

  it("is asked for as the session that the page shows", async () => {
    rememberCsrfToken("of this page");
    live.stop();
    live = new Live(client, (link) => links.push(link));
    void live.run();
    await pass(0);
    expect(network.of(STREAM).at(-1)?.headers.get("X-CSRF-Token")).toBe("of this page");
  });
});

describe("events", () => {
  beforeEach(async () => {
    await pass(0);
    network.say("retry: 2000\n\n");
    await pass(0);
  });

  it("that come faster than the server answers do not keep every answer from the screen", async () => {
    network.answers = (request) =>
      new Promise((resolve, reject) => {
        request.signal.addEventListener("abort", () => reject(request.signal.reason));
        setTimeout(() => resolve(Response.json({ items: [], nextCursor: null })), 1_500);
      });
    client.setQueryData(eventsQuery("one").queryKey, { items: [], nextCursor: null });
    const watching = new QueryObserver(client, {
      ...eventsQuery("one"),
      staleTime: Number.POSITIVE_INFINITY,
    });
    const seen = vi.fn();
    const leave = watching.subscribe((state) => {
      if (state.isSuccess && state.fetchStatus === "idle") seen(state.dataUpdatedAt);
    });
    for (let id = 1; id < 40; id += 1) {
      network.happen(id, "one");
      await pass(200);
    }
    leave();
    expect(seen.mock.calls.length).toBeGreaterThan(2);
  });

  it("of the whole tenant, such as a budget that was set, have its lists read anew", async () => {
    client.setQueryData(probesQuery(null).queryKey, {
      usdPerDay: "0.000000",
      spentUsd: "0",
      items: [],
      nextCursor: null,
    });
    network.say('id: 1\nevent: probe_budget\ndata: {"agentId": null}\n\n');
    await pass(500);
    expect(client.getQueryState(probesQuery(null).queryKey)?.isInvalidated).toBe(true);
  });

  it("tell of an agent what a page of the fleet that was asked for before does not know", async () => {
    client.setQueryData(fleetQuery.queryKey, fleetOf(agentOf({ id: "one", status: "online" })));
    let page: (answer: Response) => void = () => undefined;
    network.answers = async (request) =>
      new URL(request.url).pathname === "/api/client/agents"
        ? new Promise<Response>((resolve) => {
            page = resolve;
          })
        : Response.json(agentOf({ id: "one", status: "offline" }));
    const reading = client.fetchQuery({ ...fleetQuery, staleTime: 0 });
    await pass(10);
    network.happen(1, "one");
    await pass(500);
    page(Response.json({ items: [agentOf({ id: "one", status: "online" })], nextCursor: null }));
    expect((await reading).agents.map((agent) => agent.status)).toEqual(["offline"]);
  });
});
