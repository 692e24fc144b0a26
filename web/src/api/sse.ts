/** One server-sent event (WHATWG HTML). `id` is the last one that was given. */
export type Told = { id: string; kind: string; data: string };

/** Reads lines as they arrive, however they are cut; yields whole events. */
export class EventLines {
  private rest = "";
  private id = "";
  private kind = "";
  private data: string[] = [];

  *read(text: string): Generator<Told> {
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop() ?? "";
    for (const line of lines) {
      const whole = this.take(line.replace(/\r$/, ""));
      if (whole !== null) yield whole;
    }
  }

  private take(line: string): Told | null {
    if (line === "") return this.dispatch();
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "id") this.id = value;
    if (field === "event") this.kind = value;
    if (field === "data") this.data.push(value);
    return null;
  }

  private dispatch(): Told | null {
    const whole = this.data.length > 0 ? { id: this.id, kind: this.kind, data: this.data.join("\n") } : null;
    this.kind = "";
    this.data = [];
    return whole;
  }
}
