// Work in the background that this page has started: how far it is, and a way to stop it.
import { html, useEffect } from "../lib/ui.js";
import { needs } from "../lib/may.js";
import { signal, useSignal } from "../lib/signal.js";
import { get, part, post } from "../lib/api.js";
import { refresh, useApi } from "../lib/live.js";
import { count } from "../lib/format.js";
import { number } from "../lib/json.js";
import { Link } from "../lib/router.js";
import { act, tell } from "./dialog.js";

const OVER = ["completed", "cancelled", "dead"];
const followed = signal(null);

/** @param {string} id the job that does it @param {string} name @param {number} about how many there are */
export const follow = (id, name, about) => followed.set({ id, name, about });

export function Work() {
  const work = useSignal(followed);
  return work && html`<${Bar} key=${work.id} work=${work} />`;
}

function Bar({ work }) {
  const { data: job } = useApi(`/v1/jobs/${part(work.id)}`, {}, { every: 1000, ask: (signal) => get(`/v1/jobs/${part(work.id)}`, {}, signal) });
  // Its progress is plain to see for everyone; its result only for who may reveal it.
  const told = job?.progress ?? {};
  const done = number(told.changed ?? 0);
  const seen = number(told.seen ?? done);
  const over = job && OVER.includes(job.state);
  useEffect(() => {
    if (!over) return;
    tell(job.state === "completed" ? `${work.name}: ${count(done)} done.` : `${work.name}: stopped after ${count(done)}.`, { kind: job.state === "completed" ? "good" : "", keep: true });
    followed.set(null);
    refresh();
  }, [over]);
  const share = over ? 100 : Math.min(99, Math.round((seen / Math.max(work.about, 1)) * 100));
  return html`<aside class="work" aria-label="Work in the background"><div><${Link} class="grow clip" to=${`/jobs/${work.id}`}>${work.name}<//><span class="muted num">${count(done)}</span>
    <button class="small" onClick=${() => act(() => post(`/v1/jobs/${part(work.id)}/cancel`, undefined, {}), "It was asked to stop.")} ...${needs("operator")}>Stop</button></div>
    <progress max="100" value=${share} aria-label=${work.name}></progress></aside>`;
}
