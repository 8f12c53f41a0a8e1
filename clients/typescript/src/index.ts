// A typed client of the API. Paths, parameters and answers are generated (`npm run generate`); here is only what
// a description cannot say: the key, problems as errors, and events.
import createClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./schema.js";

export type { components, paths };
export type Problem = components["schemas"]["Problem"];
export type JobFinished = components["schemas"]["JobFinished"];

export interface Options {
  /** Such as `https://jobs.example.com`. */
  baseUrl: string;
  /** Sent as `x-admin-key`, or what `header` names. */
  key: string;
  header?: "x-admin-key" | "x-api-key";
}

/** What the API answered instead of what was asked for. `problem.type` is stable. */
export class ProblemError extends Error {
  constructor(
    readonly problem: Problem,
    readonly retryAfterSeconds: number | undefined,
  ) {
    super(`${problem.title}: ${problem.detail}`);
  }
}

/** Calls resolve to `{ data, response }`; problems are thrown. */
export function connect(options: Options): Client<paths> {
  const headers = { [options.header ?? "x-admin-key"]: options.key };
  const client = createClient<paths>({ baseUrl: options.baseUrl, headers });
  client.use({
    async onResponse({ response }) {
      if (!response.headers.get("content-type")?.startsWith("application/problem+json")) {
        return undefined;
      }
      const after = Number(response.headers.get("retry-after") ?? NaN);
      const problem = (await response.json()) as Problem;
      throw new ProblemError(problem, Number.isFinite(after) ? after : undefined);
    },
  });
  return client;
}

export type Event =
  /** From now on whatever finishes is told. */
  | { type: "open" }
  | { type: "job"; id: string; job: JobFinished }
  /** Events were missed: list anew what you show. */
  | { type: "resync" };

/** One stream of events, from `lastEventId` on if it is given, until it ends or `signal` fires. */
export async function* events(
  options: Options,
  query: Record<string, string> = {},
  lastEventId?: string,
  signal?: AbortSignal,
): AsyncGenerator<Event> {
  const headers: Record<string, string> = { [options.header ?? "x-admin-key"]: options.key };
  if (lastEventId !== undefined) headers["last-event-id"] = lastEventId;
  const url = new URL("/v1/events", options.baseUrl);
  url.search = new URLSearchParams(query).toString();
  const response = await fetch(url, { headers, ...(signal && { signal }) });
  if (!response.ok || response.body === null) {
    throw new ProblemError((await response.json()) as Problem, undefined);
  }
  yield { type: "open" };
  let text = "";
  const decoder = new TextDecoder();
  for await (const bytes of response.body) {
    text += decoder.decode(bytes, { stream: true });
    const frames = text.split("\n\n");
    text = frames.pop() ?? "";
    for (const frame of frames) {
      const event = read(frame);
      if (event !== undefined) yield event;
    }
  }
}

function read(frame: string): Event | undefined {
  const fields = new Map<string, string>();
  for (const line of frame.split("\n")) {
    const colon = line.indexOf(": ");
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 2));
  }
  const event = fields.get("event");
  if (event === "resync") return { type: "resync" };
  const [id, data] = [fields.get("id"), fields.get("data")];
  if (id === undefined || data === undefined || !event?.startsWith("job.")) return undefined;
  return { type: "job", id, job: JSON.parse(data) as JobFinished };
}
