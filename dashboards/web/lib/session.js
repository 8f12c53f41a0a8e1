// Who is signed in. What proves it is a cookie that no script can read: the key is exchanged for it at once and
// kept nowhere. What is kept is who that was, so that the next page is drawn before the server has answered.
import { signal } from "./signal.js";
import { parse } from "./json.js";

const PLACE = "jobs.who";
/** Where versions before this one kept the key. */
const FORMER = "jobs.key";
/** Where a link leads that has just set the cookie. */
const BY_LINK = "#session";
const ADDRESS = "/v1/session";

/** @typedef {{ actor: string, name: string, role: string, tenant: string|null }} Session `actor` as they call themselves */
/** @type {ReturnType<typeof signal>} */
export const session = signal(read());
/** Why somebody has to sign in again, if they had been in. */
export const expired = signal("");
/** As whoever was in last called themselves. */
export const lastActor = signal(session.get()?.actor ?? "");

function read() {
  sessionStorage.removeItem(FORMER);
  if (location.hash === BY_LINK) {
    history.replaceState(null, "", location.pathname + location.search);
    keep({ actor: "", name: "", role: "", tenant: null });
  }
  try {
    const kept = JSON.parse(localStorage.getItem(PLACE) ?? "null");
    return kept && typeof kept.actor === "string" ? kept : null;
  } catch {
    return null;
  }
}

function keep(who) {
  localStorage.setItem(PLACE, JSON.stringify(who));
}

// Other tabs have the same cookie: they come in and leave together.
addEventListener("storage", (event) => { if (event.key === PLACE || event.key === null) session.set(read()); });

function enter(actor, { name, role, tenant }) {
  const was = session.get();
  const who = { actor, name, role, tenant };
  expired.set("");
  lastActor.set(actor);
  if (was && JSON.stringify(was) === JSON.stringify(who)) return;
  keep(who);
  session.set(who);
}

/** Exchanges the key for a cookie. @returns {Promise<{ status: number, detail: string }|null>} why not */
export async function signIn(credential, actor) {
  const answer = await fetch(ADDRESS, {
    method: "POST", cache: "no-store", credentials: "same-origin",
    headers: { accept: "application/json", "content-type": "application/json" },
    body: JSON.stringify({ credential }),
  });
  const told = parse(await answer.text().catch(() => "") || "{}");
  if (!answer.ok) return { status: answer.status, detail: String(told.detail ?? told.title ?? "") };
  enter(actor, told);
  return null;
}

/** Asks the server who the cookie's holder is: a role may have changed, or the session ended. */
export async function recognise() {
  const who = session.get();
  if (!who) return;
  const answer = await fetch(ADDRESS, { cache: "no-store", credentials: "same-origin" }).catch(() => null);
  if (answer?.status === 401) signedOut(ENDED);
  else if (answer?.ok) enter(who.actor, parse(await answer.text()));
}

export const ENDED = "Your session has ended. Sign in again; you come back to this page.";

export function signedOut(why = "") {
  localStorage.removeItem(PLACE);
  expired.set(why);
  session.set(null);
}

/** Leaves: the session ends on every instance. @returns {Promise<boolean>} whether the server has heard of it */
export async function signOut() {
  const answer = await fetch(ADDRESS, { method: "DELETE", credentials: "same-origin" }).catch(() => null);
  // A session that is over already (401) is what was wanted.
  if (!answer || (!answer.ok && answer.status !== 401)) return false;
  signedOut();
  return true;
}

/** What a request carries besides the cookie: a name, for people who share a key. */
export function credentials() {
  const actor = (session.get()?.actor ?? "").replace(/[^\x20-\x7e]/g, "?");
  return actor ? { "x-actor": actor } : {};
}
