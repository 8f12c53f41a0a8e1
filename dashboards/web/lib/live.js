// Data that keeps itself fresh: pushed to, or asked for while the event stream is lost; paused; or stale, and
// saying so.
import { useEffect, useRef, useState } from "./ui.js";
import { signal } from "./signal.js";
import { address, get } from "./api.js";
import { session } from "./session.js";
import { listen, stream } from "./stream.js";

const BEAT = 1000;
const STALE = 12_000;
/** The stream tells what finishes, and not what is enqueued or started: that is still asked for, but seldom. */
const SELDOM = 2;
const AT_LEAST = 8000;
/** After something was told, whatever is older than this part of its time is asked for. */
const SOON = 3;

/** Whether the page follows by itself. */
export const paused = signal(false);
/** When the server last answered. */
export const heard = signal(Date.now());
/** A clock for "4 s ago"; one for the whole page. */
export const clock = signal(Date.now());
/** How far the server's clock is ahead of this one, in ms. */
let ahead = 0;

export const now = () => Date.now() + ahead;
export const isStale = () => Date.now() - heard.get() > STALE;
export const setAhead = (ms) => { ahead = Math.abs(ms) > 2000 ? ms : 0; };

const beats = new Set();
setInterval(() => {
  clock.set(Date.now());
  if (document.hidden || paused.get() || isBusy()) return;
  for (const beat of [...beats]) beat();
}, BEAT);
document.addEventListener("visibilitychange", () => { if (!document.hidden) clock.set(Date.now()); follow(); });

/** Something has finished: what is shown is due sooner. */
function told() {
  if (document.hidden || paused.get()) return;
  for (const beat of [...beats]) beat.told();
}
function follow() {
  listen(Boolean(session.get()) && !document.hidden && !paused.get(), told);
}
paused.subscribe(follow);
session.subscribe(follow);
follow();

/** Nothing moves under somebody who has a menu open or text selected. */
function isBusy() {
  return Boolean(document.querySelector("dialog[open], .menu > ul, .options")) || String(getSelection()).length > 0;
}

/** Asks everything again, at once: after something was done. */
export function refresh() {
  for (const beat of [...beats]) beat(true);
}

/**
 * What the API says to this address, asked again every so often.
 * @param {string|null} path nothing is asked while it is null
 * @param {object} [query]
 * @param {{ every?: number, ask?: (signal: AbortSignal) => Promise<any> }} [options] in ms
 * @returns {{ data: any, problem: any, at: number, slow: boolean, reload: () => void }}
 */
export function useApi(path, query = {}, { every = 3000, ask } = {}) {
  const key = path === null ? null : address(path, query);
  const [state, setState] = useState({ key, data: undefined, problem: null, at: 0, slow: false });
  const run = useRef(() => {});
  useEffect(() => {
    if (key === null) return undefined;
    const control = new AbortController();
    let loaded = 0;
    let soon = false;
    let asking = false;
    setState((was) => (was.key === key ? was : { key, data: undefined, problem: null, at: 0, slow: false }));
    // Nothing is drawn for a wait that is over before one sees it.
    const late = setTimeout(() => setState((was) => (was.at ? was : { ...was, slow: true })), 150);
    const load = async () => {
      if (asking) return;
      asking = true;
      soon = false;
      try {
        const data = await (ask ? ask(control.signal) : get(path, query, control.signal));
        if (control.signal.aborted) return;
        heard.set(Date.now());
        setState({ key, data, problem: null, at: Date.now(), slow: false });
      } catch (problem) {
        if (control.signal.aborted) return;
        if (problem.status) heard.set(Date.now());
        setState((was) => ({ ...was, key, problem: Object.assign(problem, { since: was.problem?.since ?? Date.now() }), slow: false }));
      } finally {
        asking = false;
        loaded = Date.now();
      }
    };
    const wait = () => (soon ? every / SOON : stream.get() === "open" ? Math.max(every, Math.min(every * SELDOM, AT_LEAST)) : every);
    const beat = (force) => { if (force || Date.now() >= loaded + wait()) load(); };
    beat.told = () => { soon = true; if (!isBusy()) beat(); };
    run.current = () => load();
    beats.add(beat);
    load();
    return () => { beats.delete(beat); clearTimeout(late); control.abort(); };
  }, [key, every]);
  const fresh = state.key === key ? state : { key, data: undefined, problem: null, at: 0, slow: false };
  return { ...fresh, reload: () => run.current() };
}
