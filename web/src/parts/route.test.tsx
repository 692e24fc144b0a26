import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, describe, expect, it } from "vitest";
import type { Schemas } from "../api/client";
import { detailOf } from "../test/agents";
import { Route } from "./agent/Route";

afterEach(cleanup);

function shown(traffic: Schemas["Traffic"] | null, status = 200): () => Promise<unknown[]> {
  const orders: Request[] = [];
  globalThis.fetch = async (input) => {
    orders.push(input as Request);
    const errors = [{ pointer: "/traffic/zoneId", detail: "takes the id of a hosted zone" }];
    return Response.json({ detail: "not valid", errors }, { status });
  };
  render(
    <MantineProvider>
      <QueryClientProvider client={new QueryClient()}>
        <Route agent={detailOf({ config: { ...detailOf().config, traffic } })} />
      </QueryClientProvider>
    </MantineProvider>,
  );
  return () => Promise.all(orders.filter((one) => one.method === "POST").map((one) => one.clone().json()));
}

const pick = (driver: string) =>
  fireEvent.change(screen.getByLabelText("Route"), { target: { value: driver } });
const type = (label: RegExp, value: string) =>
  fireEvent.change(screen.getByLabelText(label), { target: { value } });
const button = () => screen.getByRole("button", { name: "Store the route" }) as HTMLButtonElement;
const store = () => fireEvent.submit(button().closest("form") as HTMLFormElement);

const DNS = {
  driver: "dns",
  zoneId: "Z1",
  name: "web.example.com",
  ttlSeconds: 30,
  address: "public",
} as Schemas["Traffic"];

describe("a route", () => {
  it("is stored whole, with the members of its kind", async () => {
    const orders = shown(null);
    pick("dns");
    expect(button().disabled).toBe(true);
    type(/hosted zone/, "Z1");
    type(/Name of the record/, "web.example.com");
    type(/time to live/, "30");
    type(/Address that it tells/, "public");
    store();
    await waitFor(async () => expect(await orders()).toEqual([{ traffic: DNS }]));
  });
  it("is shown as it is stored, and taken away by null", async () => {
    const orders = shown(DNS);
    expect((screen.getByLabelText(/time to live/) as HTMLInputElement).value).toBe("30");
    pick("none");
    store();
    await waitFor(async () => expect(await orders()).toEqual([{ traffic: null }]));
  });
  it("is not sent with a number that it does not take", async () => {
    const orders = shown(null);
    pick("script");
    type(/expected to take/, "soon");
    store();
    expect(screen.getByText(/a whole number from 0 to 3600; nothing is stored/)).toBeTruthy();
    expect(await orders()).toEqual([]);
  });
  it("that the server refuses says which member is wrong", async () => {
    shown(DNS, 422);
    store();
    expect((await screen.findByRole("alert")).textContent).toContain("/traffic/zoneId: takes the id");
  });
});
