// Line icons on a 16 grid, and the shapes of the states: colour alone tells nothing.
import { html } from "../lib/ui.js";

const PATHS = {
  overview: "M2 9l4-4 3 3 5-5M10 3h4v4M2 13h12",
  jobs: "M2 4h12M2 8h12M2 12h8",
  errors: "M8 2l6.5 11.5h-13zM8 6.5v3.2M8 11.6v.1",
  queues: "M2 3h3v10H2zM6.5 6h3v7h-3zM11 9h3v4h-3z",
  schedules: "M8 14A6 6 0 108 2a6 6 0 000 12zM8 5v3l2 2",
  flows: "M4 5.5a1.5 1.5 0 100-3 1.5 1.5 0 000 3zM12 9.5a1.5 1.5 0 100-3 1.5 1.5 0 000 3zM4 13.5a1.5 1.5 0 100-3 1.5 1.5 0 000 3zM5.5 4l5 3.5M5.5 12l5-3.500",
  messages: "M2 3h12v8H7l-3 3v-3H2z",
  backups: "M8 2c3.300 0 6 .9 6 2s-2.700 2-6 2-6-.9-6-2 2.700-2 6-2zM2 4v8c0 1.100 2.700 2 6 2s6-.9 6-2V4M2 8c0 1.100 2.700 2 6 2s6-.9 6-2",
  quarantine: "M8 1.500l5.500 2v4.500c0 3.200-2.300 5.500-5.500 6.500-3.200-1-5.500-3.300-5.500-6.500V3.500zM6 6l4 4M10 6l-4 4",
  workers: "M3 3h10v10H3zM6 6h4v4H6zM6 1v2M10 1v2M6 13v2M10 13v2M1 6h2M1 10h2M13 6h2M13 10h2",
  system: "M2 3h12v4H2zM2 9h12v4H2zM4.500 5h.1M4.500 11h.1",
  audit: "M4 2h6l3 3v9H4zM6.500 8h4M6.500 11h4M10 2v3h3",
  help: "M8 14A6 6 0 108 2a6 6 0 000 12zM6.300 6.300A1.800 1.800 0 118 8.300v1M8 11.300v.1",
  theme: "M8 14A6 6 0 108 2a6 6 0 000 12zM8 2v12M8 4.500h3.500M8 8h6M8 11.500h3.500",
  more: "M3 8h.1M8 8h.1M13 8h.1",
  copy: "M5 5h8v9H5zM11 5V2H3v9h2",
  pause: "M5 3v10M11 3v10",
  play: "M4 2.500l9 5.500-9 5.500z",
  down: "M4 6l4 4 4-4",
  outbox: "M2 9v4h12V9M8 10V2M5 5l3-3 3 3",
};

export const Icon = ({ name }) => html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;

const SHAPES = {
  scheduled: "M5 0a5 5 0 110 10A5 5 0 015 0zm0 1.600a3.400 3.400 0 100 6.800 3.400 3.400 0 000-6.800z",
  waiting: "M1 1h3v8H1zM6 1h3v8H6z",
  available: "M5 0a5 5 0 110 10A5 5 0 015 0z",
  running: "M1.500 0l8.500 5-8.500 5z",
  retryable: "M5 0l5 5-5 5-5-5z",
  dead: "M1.400 0L5 3.600 8.600 0 10 1.400 6.400 5 10 8.600 8.600 10 5 6.400 1.400 10 0 8.600 3.600 5 0 1.400z",
  completed: "M3.700 9.300L0 5.600l1.500-1.500 2.200 2.200L8.500 1.400 10 2.900z",
  cancelled: "M0 3.800h10v2.400H0z",
};

/** A state: its shape, its word, its colour. */
export const State = ({ state, word }) => html`<span class="state" data-state=${state}>
  <svg viewBox="0 0 10 10" aria-hidden="true"><path d=${SHAPES[state] ?? SHAPES.scheduled} /></svg>${word ?? state}</span>`;

const OUTCOMES = {
  completed: "completed", failed: "dead", panicked: "dead", timed_out: "dead", crashed: "dead", discarded: "dead",
  snoozed: "scheduled", released: "available", cancelled: "cancelled",
};
/** How an attempt ended. */
export const Outcome = ({ outcome }) => html`<${State} state=${OUTCOMES[outcome] ?? "scheduled"} word=${outcome.replace("_", " ")} />`;
