// Filters of the jobs page under a name, kept in this browser.
import { signal } from "./signal.js";

const PLACE = "jobs.views";
const MOST = 30;
/** What of the address a view holds: where one was in the list is not part of it. */
const KEYS = ["state", "kind", "queue", "tenant", "correlation", "tag"];

const only = (query) => Object.fromEntries(KEYS.filter((key) => typeof query[key] === "string" && query[key]).map((key) => [key, query[key]]));

/** @typedef {{ name: string, query: Record<string, string> }} View */
/** @type {ReturnType<typeof signal>} by name */
export const views = signal(read());

function read() {
  try {
    const kept = JSON.parse(localStorage.getItem(PLACE) ?? "[]");
    return kept.filter((view) => typeof view?.name === "string" && view.query).map(({ name, query }) => ({ name, query: only(query) }));
  } catch {
    return [];
  }
}

addEventListener("storage", (event) => { if (event.key === PLACE) views.set(read()); });

function keep(next) {
  views.set(next);
  localStorage.setItem(PLACE, JSON.stringify(next));
}

/** Why it cannot be saved under this name; empty if it can. */
export const wrongName = (name) => (!views.get().some((view) => view.name === name.trim()) && views.get().length >= MOST ? `There are ${MOST} views already: forget one first.` : name.trim().length > 60 ? "The name is longer than 60 characters." : "");

/** Saves it; one of the same name is replaced. */
export const save = (name, query) => keep([...views.get().filter((view) => view.name !== name), { name, query: only(query) }].toSorted((a, b) => a.name.localeCompare(b.name)));
export const forget = (name) => keep(views.get().filter((view) => view.name !== name));
export const isOne = (query) => Object.keys(only(query)).length > 0;
