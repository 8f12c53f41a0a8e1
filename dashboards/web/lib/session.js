// Who is signed in. The key lives in this tab only, and goes with it.
import { signal } from "./signal.js";

const PLACE = "jobs.key";

/** @typedef {{ key: string, name: string }} Session */
/** @type {ReturnType<typeof signal>} */
export const session = signal(read());
/** Why somebody has to sign in again, if they had been in. */
export const expired = signal("");

function read() {
  try {
    return JSON.parse(sessionStorage.getItem(PLACE) ?? "null");
  } catch {
    return null;
  }
}

export function signedIn(key, name) {
  const value = { key, name };
  sessionStorage.setItem(PLACE, JSON.stringify(value));
  expired.set("");
  session.set(value);
}

export function signedOut(why = "") {
  sessionStorage.removeItem(PLACE);
  expired.set(why);
  session.set(null);
}

/** What a request carries. */
export function credentials() {
  const who = session.get();
  if (!who) return {};
  const name = who.name.replace(/[^\x20-\x7e]/g, "?");
  return { "x-admin-key": who.key, ...(name ? { "x-actor": name } : {}) };
}
