import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, describe, expect, it } from "vitest";
import type { Schemas } from "../api/client";
import { detailOf } from "../test/agents";
import { Deletion, LeftBehind } from "./agent/Deletion";

afterEach(cleanup);

const left = (resourceId: string, usdPerMonth: string | null) => ({
  resourceId,
  kind: "volume",
  madeBySpotguard: true,
  usdPerMonth,
  plan: `aws ec2 delete-volume --volume-id ${resourceId}`,
});
const WOULD: Schemas["DeletionPreview"] = {
  because: "",
  left: [left("vol-1", "1.600000"), left("vol-2", null)],
  usdPerMonth: "1.600000",
  standbys: ["i-2"],
  asSeen: "abc",
};

/** A server that bars the deletion or not, tells what it would be, and answers the order. */
function served(options: { because?: string; answer?: number } = {}): () => Request[] {
  const orders: Request[] = [];
  const control = { allowed: options.because === undefined, because: options.because ?? null };
  globalThis.fetch = async (input) => {
    const request = input as Request;
    if (request.url.endsWith("/controls")) return Response.json({ delete: control });
    if (request.method === "GET") return Response.json(WOULD);
    orders.push(request);
    return Response.json({ detail: "it has changed: look again" }, { status: options.answer ?? 200 });
  };
  return () => orders;
}

function shown(what: typeof Deletion) {
  const Part = what;
  render(
    <MantineProvider>
      <QueryClientProvider client={new QueryClient()}>
        <Part agent={detailOf()} />
      </QueryClientProvider>
    </MantineProvider>,
  );
}

const ask = () => fireEvent.click(screen.getByRole("button", { name: "Delete this agent…" }));

describe("deleting an agent", () => {
  it("asks first, with what goes on, what it costs, what of that is unknown, and what ends", async () => {
    const orders = served();
    shown(Deletion);
    ask();
    const dialog = await screen.findByRole("dialog");
    await screen.findByText("vol-1");
    expect(dialog.textContent).toContain("$1.60, and 1 whose cost is unknown");
    expect(dialog.textContent).toContain("Standbys that endi-2");
    expect(orders()).toEqual([]);
    fireEvent.click(screen.getByRole("button", { name: "Delete it" }));
    await waitFor(() => expect(orders()[0]?.method).toBe("DELETE"));
    expect(orders()[0]?.url).toContain("asSeen=abc");
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  });
  it("stays open with the server's reason when it was refused", async () => {
    served({ answer: 409 });
    shown(Deletion);
    ask();
    fireEvent.click(await screen.findByRole("button", { name: "Delete it" }));
    expect((await screen.findByRole("alert")).textContent).toContain("look again");
  });
  it("is disabled with the server's reason where it may not be", async () => {
    served({ because: "a move of this agent is open" });
    shown(Deletion);
    expect(await screen.findByText("Not to be deleted now: a move of this agent is open")).toBeTruthy();
    expect((screen.getByRole("button") as HTMLButtonElement).disabled).toBe(true);
  });
  it("is followed by what still goes on, and how a person ends it", async () => {
    served();
    shown(LeftBehind);
    expect(await screen.findByText(/delete-volume --volume-id vol-2/)).toBeTruthy();
  });
});
