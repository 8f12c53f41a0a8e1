// What every page has: a title, and what it shows while there is nothing to show.
import { html, useEffect } from "../lib/ui.js";
import { may } from "../lib/may.js";
import { clock } from "../lib/live.js";
import { useSignal } from "../lib/signal.js";
import { absolute, ago, clockTime, duration } from "../lib/format.js";

/** A page: its title, its actions, its content, and as of when it is. */
export function Page({ title, name, lead, actions, at, children }) {
  useEffect(() => { document.title = `${name ?? title} · jobs`; }, [name, title]);
  return html`<main class="page" id="page" tabindex="-1">
    <header><h1>${title}</h1>${actions && html`<div class="actions">${actions}</div>`}${lead && html`<p>${lead}</p>`}${actions && !may("operator") && html`<p class="muted">You are signed in as a viewer: you may look, and change nothing.</p>`}</header>
    ${children}
    ${at ? html`<p class="asof">as of ${clockTime(at)}</p>` : null}
  </main>`;
}

/**
 * Draws `children(data)` once there is data; before that, what is true instead.
 * @param {{ of: ReturnType<typeof import("../lib/live.js").useApi>, rows?: number, children: any }} props
 */
export function Loaded({ of, rows = 6, children }) {
  const { data, problem, slow, reload } = of;
  if (data === undefined && problem) return html`<${Trouble} problem=${problem} retry=${reload} />`;
  if (data === undefined) return slow ? html`<${Skeleton} rows=${rows} />` : null;
  return html`${problem && html`<${StillTrying} problem=${problem} retry=${reload} />`}${children(data)}`;
}

function StillTrying({ problem, retry }) {
  useSignal(clock);
  return html`<div class="notice warn" role="status">
    <span class="grow">Not fresh since ${clockTime(problem.since)}: ${problem.message}</span>
    <button class="small" onClick=${retry}>Try now</button></div>`;
}

const NONE = {
  403: ["You may not see this", "Your role or your tenants do not include it. An administrator can change that with jobctl."],
  404: ["Not here", null],
};

/** Something went wrong, since when, and what to do. */
export function Trouble({ problem, retry }) {
  useSignal(clock);
  const [title, told] = NONE[problem.status] ?? [problem.title || "That did not work", null];
  const wait = Date.now() - (problem.since ?? Date.now());
  return html`<div class="empty" role="alert"><strong>${title}</strong><p>${told ?? problem.message}</p>
    ${problem.status !== 403 && html`<p>${wait > 2000 && `For ${duration(wait)}. `}</p><button onClick=${retry}>Try again</button>`}</div>`;
}

const WIDTHS = ["w1", "w2", "w3", "w4"];
/** Stands in for rows that are on their way. */
export const Skeleton = ({ rows = 6 }) => html`<div class="skeleton" role="status" aria-busy="true" aria-label="Loading">
  ${Array.from({ length: rows }, (_, row) => html`<i class=${WIDTHS[row % WIDTHS.length]}></i>`)}</div>`;

/** Says what would be here, and how it comes here. */
export const Empty = ({ title, children }) => html`<div class="empty"><strong>${title}</strong><p>${children}</p></div>`;

/** A moment: how long ago; when exactly, on hover. */
export function When({ at }) {
  useSignal(clock);
  return at ? html`<time class="nowrap" datetime=${at} title=${absolute(at)}>${ago(at)}</time>` : html`<span class="muted">–</span>`;
}

/** Facts by name. Those without a value are left out. */
export const Facts = ({ of }) => html`<dl class="facts">${of
  .filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== false)
  .map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;

/** A part of a page under its own heading. */
export const Part = ({ title, actions, id, children }) => html`<section class="part" id=${id}>
  <header><h2>${title}</h2>${actions && html`<div class="actions">${actions}</div>`}</header>${children}</section>`;
