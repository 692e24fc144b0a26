import type { QueryClient } from "@tanstack/react-query";
import { refusalOf } from "./client";
import { fleetQuery, isLarge, refreshAgent } from "./fleet";
import { EventLines, type Told } from "./sse";

export type Link = "connecting" | "live" | "polling" | "signed out";

const SETTLE_MS = 400;
const POLL_MS = 5_000;
const UNAUTHORIZED = 401;
const MANY = 20;

/** Keeps what is on the screen true: by the event stream, resumed with the last id, and by polling without it. */
export class Live {
  private lastId: string | null = null;
  private readonly touched = new Set<string>();
  private settling: number | undefined;
  private ending = new AbortController();

  constructor(
    private readonly client: QueryClient,
    private readonly onLink: (link: Link) => void,
  ) {}

  async run(): Promise<void> {
    while (!this.ending.signal.aborted) {
      try {
        await this.listen();
      } catch (error) {
        if (this.ending.signal.aborted) return;
        if (error instanceof Error && "status" in error && error.status === UNAUTHORIZED) {
          this.onLink("signed out");
          return;
        }
      }
      if (this.ending.signal.aborted) return;
      this.onLink("polling");
      await this.pause(POLL_MS);
      this.refreshAll();
    }
  }

  stop(): void {
    this.ending.abort();
    window.clearTimeout(this.settling);
  }

  private async listen(): Promise<void> {
    const headers: Record<string, string> = this.lastId === null ? {} : { "Last-Event-ID": this.lastId };
    const answer = await fetch("/api/client/stream", { headers, signal: this.ending.signal });
    if (!answer.ok || answer.body === null) throw refusalOf(answer.status, null);
    this.onLink("live");
    if (this.lastId === null) this.catchUp();
    const lines = new EventLines();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      for (const event of lines.read(part.value)) this.hear(event);
    }
  }

  private hear(event: Told): void {
    this.lastId = event.id;
    const { agentId } = JSON.parse(event.data) as { agentId: string | null };
    this.touched.add(agentId ?? "");
    this.settling ??= window.setTimeout(() => this.settle(), SETTLE_MS);
  }

  private settle(): void {
    this.settling = undefined;
    const agents = [...this.touched].filter((id) => id !== "");
    this.touched.clear();
    void this.client.invalidateQueries({ predicate: (query) => OF_ALL.has(String(query.queryKey[0])) });
    for (const id of agents) {
      void this.client.invalidateQueries({
        queryKey: ["agent", id],
        predicate: (query) => query.queryKey.length > 2,
      });
    }
    if (agents.length > MANY) void this.client.invalidateQueries({ queryKey: fleetQuery.queryKey });
    else for (const id of agents) void refreshAgent(this.client, id).catch(() => this.refreshAll());
  }

  /** What happened between the first look and the first event that can be heard; a large fleet is still being read. */
  private catchUp(): void {
    const fleet = this.client.getQueryData(fleetQuery.queryKey);
    const isRead = fleet?.complete === true && !isLarge(fleet);
    void this.client.invalidateQueries({
      predicate: ({ queryKey }) => queryKey[0] !== "session" && (isRead || queryKey[0] !== "fleet"),
    });
  }

  private refreshAll(): void {
    void this.client.invalidateQueries({ predicate: (query) => query.queryKey[0] !== "session" });
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = window.setTimeout(resolve, ms);
      this.ending.signal.addEventListener("abort", () => {
        window.clearTimeout(timer);
        resolve();
      });
    });
  }
}

/** First parts of keys of lists over all agents, which any event may change. */
const OF_ALL = new Set(["switches", "switch", "interruptions", "instance", "health"]);
