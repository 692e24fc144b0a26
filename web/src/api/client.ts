import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];

/** What the server refused, in its own words (RFC 9457). `status` 0: it could not be reached. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly detail: string,
    readonly errors: readonly { pointer: string; detail: string }[] = [],
  ) {
    super([detail, ...errors.map((one) => `${one.pointer}: ${one.detail}`)].join("; "));
  }
}

let csrfToken = "";

/** Of the session; goes with every call that changes something. */
export function rememberCsrfToken(token: string): void {
  csrfToken = token;
}

export const api = createClient<paths>({
  baseUrl: window.location.origin,
  credentials: "same-origin",
  fetch: (request) => globalThis.fetch(request), // looked up for each call
});

api.use({
  onRequest({ request }) {
    if (request.method !== "GET") request.headers.set("X-CSRF-Token", csrfToken);
  },
});

type Answer<T> = { data?: T; error?: unknown; response: Response };

/** The body of a good answer; otherwise a `Refusal`. */
export async function told<T>(asked: Promise<Answer<T>>): Promise<T> {
  let answer: Answer<T>;
  try {
    answer = await asked;
  } catch {
    throw new Refusal(0, "the server cannot be reached");
  }
  if (answer.response.ok) return answer.data as T;
  throw refusalOf(answer.response.status, answer.error);
}

export function refusalOf(status: number, problem: unknown): Refusal {
  const said = (typeof problem === "object" && problem !== null ? problem : {}) as Partial<
    Schemas["Problem"]
  >;
  return new Refusal(status, said.detail ?? `the server answered ${status}`, said.errors ?? []);
}
