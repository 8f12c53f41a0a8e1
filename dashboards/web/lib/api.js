// The API, as any other caller has it.
import { parse } from "./json.js";
import { ENDED, credentials, session, signedOut } from "./session.js";

const PATIENCE = 15_000;

/** An answer that is no good: RFC 9457, or what stands for it when nothing answered. */
export class Problem extends Error {
  /** @param {number} status @param {{title?: string, detail?: string, field?: string}} body */
  constructor(status, body) {
    super(body.detail || body.title || `The server answered ${status}.`);
    this.status = status;
    this.title = body.title ?? "";
    this.field = body.field ?? "";
  }
}

/** `/v1/jobs?state=dead` from a path and what is asked; what is empty is left out. */
export function address(path, query = {}) {
  const asked = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const text = new URLSearchParams(asked.map(([key, value]) => [key, String(value)])).toString();
  return text ? `${path}?${text}` : path;
}

async function send(method, url, body, signal) {
  const headers = { accept: "application/json", ...credentials() };
  if (body !== undefined) headers["content-type"] = "application/json";
  const limit = AbortSignal.timeout(PATIENCE);
  let answer;
  try {
    answer = await fetch(url, {
      method,
      headers,
      cache: "no-store",
      credentials: "same-origin",
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
      body: body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, { title: "The server does not answer", detail: "The server cannot be reached. It may be restarting; the page tries again by itself." });
  }
  const text = await answer.text();
  const isJson = (answer.headers.get("content-type") ?? "").includes("json");
  const data = isJson && text ? parse(text) : text || null;
  if (answer.ok) return data;
  if (answer.status === 401 && session.get()) signedOut(ENDED);
  throw new Problem(answer.status, isJson && data ? data : { title: answer.statusText });
}

/** @param {string} path @param {object} [query] @param {AbortSignal} [signal] */
export const get = (path, query, signal) => send("GET", address(path, query), undefined, signal);
/** @param {string} path @param {object|string} [body] @param {object} [query] */
export const post = (path, body, query) => send("POST", address(path, query), body);
export const put = (path, body, query) => send("PUT", address(path, query), body);
export const del = (path, query) => send("DELETE", address(path, query));
/** One part of a path. */
export const part = encodeURIComponent;
