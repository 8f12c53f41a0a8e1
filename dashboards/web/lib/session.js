// Who is signed in: by a key, which lives in this tab only and goes with it, or by the cookie that a link
// has set, which no script can read.
import { signal } from "./signal.js";

const PLACE = "jobs.key";
/** Where a link leads that has just set the cookie. */
const BY_LINK = "#session";

/** @typedef {{ key: string, name: string }} Session */
/** @type {ReturnType<typeof signal>} */
export const session = signal(read());
/** Why somebody has to sign in again, if they had been in. */
export const expired = signal("");

function read() {
  if (location.hash === BY_LINK) {
    history.replaceState(null, "", location.pathname + location.search);
    sessionStorage.setItem(PLACE, JSON.stringify({ key: "", name: "" }));
  }
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

/** Leaves: the server forgets the cookie, if it was one. */
export async function signOut() {
  if (session.get()?.key === "") await fetch("/v1/session", { method: "DELETE" }).catch(() => null);
  signedOut();
}

/** What a request carries besides the cookie. */
export function credentials() {
  const who = session.get();
  if (!who?.key) return {};
  const name = who.name.replace(/[^\x20-\x7e]/g, "?");
  return { "x-admin-key": who.key, ...(name ? { "x-actor": name } : {}) };
}
