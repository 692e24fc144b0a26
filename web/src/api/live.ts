import type { QueryClient } from "@tanstack/react-query";
import { refusalOf, sessionHeaders } from "./client";
import { configuring, fleetQuery, invalidateParts, isLarge, refreshAgent } from "./fleet";
import { EventLines, type Told } from "./sse";

export type Link = "connecting" | "live" | "polling" | "signed out";

const SETTLE_MS = 400;
const POLL_MS = 5_000;
const PATIENCE_MS = 10_000;
const FIRST_WORD_MS = 10_000;
/** The server speaks every 15 seconds at the latest: a link that says nothing for so long carries nothing. */
const QUIET_MS = 40_000;
const UNAUTHORIZED = 401;
const MANY = 20;

/** Keeps what is on the screen true: by the event stream, resumed with the last id, and by polling without it. */
export class Live {
  private lastId: string | null = null;
  private readonly touched = new Set<string>();
  private settling: number | undefined;
  private polling: number | undefined;
  private quiet: number | undefined;
  private ending = new AbortController();

  constructor(
    private readonly client: QueryClient,
    private readonly onLink: (link: Link) => void,
  ) {}

  async run(): Promise<void> {
    this.poll();
    while (!this.ending.signal.aborted) {
      try {
        await this.listen();
      } catch (error) {
        if (this.ending.signal.aborted) return;
        if (error instanceof Error && "status" in error && error.status === UNAUTHORIZED) {
          this.stop();
          this.onLink("signed out");
          return;
        }
      }
      if (this.ending.signal.aborted) return;
      this.onLink("polling");
      this.poll();
      await this.pause(POLL_MS);
    }
  }

  stop(): void {
    this.ending.abort();
    window.clearTimeout(this.settling);
    window.clearTimeout(this.quiet);
    window.clearInterval(this.polling);
  }

  private async listen(): Promise<void> {
    const unheard = new AbortController();
    const headers = { ...sessionHeaders(), ...(this.lastId !== null && { "Last-Event-ID": this.lastId }) };
    const signal = AbortSignal.any([this.ending.signal, unheard.signal]);
    try {
      this.expectWord(unheard, FIRST_WORD_MS);
      const answer = await fetch("/api/client/stream", { headers, signal });
      if (!answer.ok || answer.body === null) throw refusalOf(answer.status, null);
      const lines = new EventLines();
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let part = await reader.read(), isFirst = true; !part.done; part = await reader.read()) {
        this.expectWord(unheard, QUIET_MS);
        if (isFirst) this.hearFirst();
        isFirst = false;
        for (const event of lines.read(part.value)) this.hear(event);
      }
    } finally {
      window.clearTimeout(this.quiet);
    }
  }

  /** Headers alone prove nothing: something between may hold back what follows them. */
  private hearFirst(): void {
    window.clearInterval(this.polling);
    this.polling = undefined;
    this.onLink("live");
    this.catchUp();
  }

  private expectWord(unheard: AbortController, withinMs: number): void {
    window.clearTimeout(this.quiet);
    this.quiet = window.setTimeout(() => unheard.abort(), withinMs);
  }

  /** Until the stream speaks, whatever becomes of the attempts to open it. */
  private poll(): void {
    this.polling ??= window.setInterval(() => this.refreshAll(), POLL_MS);
  }

  private hear(event: Told): void {
    this.lastId = event.id;
    const { agentId } = JSON.parse(event.data) as { agentId: string | null };
    this.touched.add(agentId ?? "");
    this.settleSoon();
  }

  private settleSoon(): void {
    this.settling ??= window.setTimeout(() => void this.settle(), SETTLE_MS);
  }

  /** Answers are awaited before the next questions: events faster than answers would else cancel each of them. */
  private async settle(): Promise<void> {
    const agents = [...this.touched].filter((id) => id !== "");
    this.touched.clear();
    await Promise.race([Promise.allSettled(this.questions(agents)), this.pause(PATIENCE_MS)]);
    this.settling = undefined;
    if (this.touched.size > 0 && !this.ending.signal.aborted) this.settleSoon();
  }

  private questions(touched: readonly string[]): Promise<void>[] {
    const agents = touched.filter((id) => this.client.isMutating({ mutationKey: configuring(id) }) === 0); // it asks
    const asked = [
      this.client.invalidateQueries({ predicate: (query) => OF_ALL.has(String(query.queryKey[0])) }),
      ...agents.map((id) => invalidateParts(this.client, id)),
    ];
    if (agents.length > MANY) asked.push(this.client.invalidateQueries({ queryKey: fleetQuery.queryKey }));
    else for (const id of agents) asked.push(refreshAgent(this.client, id).catch(() => this.refreshAll()));
    return asked;
  }

  /** What happened before the first event that can be heard; a large fleet is still being read.
   *
   * After a break, too: an event whose transaction was long comes with a lower id than the last one that was heard. */
  private catchUp(): void {
    const fleet = this.client.getQueryData(fleetQuery.queryKey);
    const isRead = fleet?.complete === true && !isLarge(fleet);
    void this.client.invalidateQueries({
      predicate: ({ queryKey }) => isLived(queryKey) && (isRead || queryKey[0] !== "fleet"),
    });
  }

  /** What is on its way is not begun anew: a slow server would never be heard to its end. */
  private refreshAll(): void {
    void this.client.invalidateQueries(
      { predicate: ({ queryKey }) => isLived(queryKey) },
      { cancelRefetch: false },
    );
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

/** Whether it changes by itself. A session does not, and a backtest is of days that have passed: each takes seconds. */
const isLived = ([first]: readonly unknown[]) => first !== "session" && first !== "backtest";

/** First parts of keys of lists over all agents, which any event may change. */
const OF_ALL = new Set(["switches", "switch", "interruptions", "instance", "health", "probes"]);
