import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];

/** Of a change nobody knows then whether the server has heard it. */
const UNHEARD = "no answer came from the server: look whether it was applied before you repeat it";

/** What the server refused, in its own words (RFC 9457). `status` 0: no answer came. */
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

/** Of the session that this page shows; goes with every call. */
export function rememberCsrfToken(token: string): void {
  csrfToken = token;
}

/** A read is refused, too, once another tab has signed this browser in anew: no page mixes two tenants. */
export const sessionHeaders = (): Record<string, string> =>
  csrfToken === "" ? {} : { "X-CSRF-Token": csrfToken };

export const api = createClient<paths>({
  baseUrl: window.location.origin,
  credentials: "same-origin",
  fetch: (request) => globalThis.fetch(request), // looked up for each call
});

api.use({
  onRequest({ request }) {
    for (const [name, value] of Object.entries(sessionHeaders())) request.headers.set(name, value);
  },
  onError({ request }) {
    return new Refusal(0, request.method === "GET" ? "the server cannot be reached" : UNHEARD);
  },
});

type Answer<T> = { data?: T; error?: unknown; response: Response };

/** The body of a good answer; otherwise a `Refusal`. */
export async function told<T>(asked: Promise<Answer<T>>): Promise<T> {
  const answer = await asked;
  if (answer.response.ok) return answer.data as T;
  throw refusalOf(answer.response.status, answer.error);
}

/** What is wrong at this place of the body that was sent; null where nothing of it was said. */
export function errorAt(error: Error | null, pointer: string): string | null {
  if (!(error instanceof Refusal)) return null;
  return error.errors.find((one) => one.pointer === pointer)?.detail ?? null;
}

export function refusalOf(status: number, problem: unknown): Refusal {
  const said = (typeof problem === "object" && problem !== null ? problem : {}) as Partial<
    Schemas["Problem"]
  >;
  return new Refusal(status, said.detail ?? `the server answered ${status}`, said.errors ?? []);
}
