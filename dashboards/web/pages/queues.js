// Queues: how each stands, how much of it may run, and what is held.
import { html } from "../lib/ui.js";
import { needs } from "../lib/may.js";
import { Link, href } from "../lib/router.js";
import { useApi } from "../lib/live.js";
import { get } from "../lib/api.js";
import { absolute, count, duration, since } from "../lib/format.js";
import { pause, resume } from "../lib/pausing.js";
import { quantile, useStats } from "../lib/stats.js";
import { Empty, Loaded, Page, Part, When } from "../parts/page.js";
import { Spark } from "../parts/charts.js";

/** Queues, workers and pauses in one. */
export function useQueues() {
  return useApi("queues", {}, {
    every: 2500,
    ask: async (signal) => {
      const [queues, workers, pauses] = await Promise.all([get("/v1/queues", {}, signal), get("/v1/workers", {}, signal), get("/v1/pauses", {}, signal)]);
      const none = { available: 0, running: 0, retryable: 0, scheduled: 0, waiting: 0 };
      const names = [...new Set([...queues.queues.map((q) => q.queue), ...workers.workers.flatMap((w) => w.queues)])].sort();
      return { pauses: pauses.pauses, workers: workers.workers, queues: names.map((queue) => ({ ...none, queue, ...queues.queues.find((q) => q.queue === queue) })) };
    },
  });
}
export const pauseOf = (pauses, queue) => pauses.find((p) => p.queue === queue && !p.kind && !p.tenant_id);

/** When the backlog will be gone, at the pace of the last ten minutes; null if nobody can tell. */
export function eta(queue, series) {
  if (!series || queue.available === 0) return null;
  const last = series.points.slice(-10);
  const pace = last.reduce((n, p) => n + p.completed - p.enqueued, 0) / last.length;
  return pace > 0 ? (queue.available / pace) * 60_000 : Infinity;
}

function Pauses({ pauses }) {
  if (pauses.length === 0) return null;
  return html`<${Part} title="Paused"><div class="scroll"><table><thead><tr><th scope="col">what</th><th scope="col">why</th><th scope="col">by</th><th scope="col">since</th><th scope="col">ends</th><th scope="col"><span class="sr">resume</span></th></tr></thead>
    <tbody>${pauses.map((p) => html`<tr><td>${[p.queue && `queue ${p.queue}`, p.kind && `kind ${p.kind}`, p.tenant_id && `tenant ${p.tenant_id}`].filter(Boolean).join(", ")}</td><td>${p.reason ?? html`<span class="muted">–</span>`}</td><td>${p.by}</td>
      <td><${When} at=${p.at} /></td><td title=${absolute(p.until)}>${p.until ? html`<${When} at=${p.until} />` : "when resumed"}</td><td class="num"><button class="small" onClick=${() => resume(p)} ...${needs("operator")}>Resume</button></td></tr>`)}</tbody></table></div><//>`;
}

function Row({ q, pauses, series }) {
  const held = pauseOf(pauses, q.queue);
  const left = eta(q, series);
  const p95 = series ? quantile(series, 0.95) : null;
  return html`<tr><td><${Link} class="row" to=${`/queues/${encodeURIComponent(q.queue)}`}>${q.queue}<//>${held && html` <span class="tag">paused</span>`}${q.policy && html` <span class="tag" title="It has limits of its own">limited</span>`}</td>
    <td class="num"><${Link} to=${href("/jobs", { queue: q.queue, state: "available" })}>${q.capped ? "≥ " : ""}${count(q.available)}<//></td>
    <td class="num">${q.oldest_available_at ? duration(Math.floor(since(q.oldest_available_at) / 1000) * 1000) : "–"}</td><td class="num">${count(q.running)}</td>
    <td class="num">${count(q.retryable)}</td><td class="num hide-phone">${count(q.scheduled)}</td><td class="num hide-phone">${count(q.waiting)}</td><td class="num hide-phone">${p95 === null ? "–" : `≤ ${duration(p95)}`}</td>
    <td class="num hide-phone">${left === null ? "–" : left === Infinity ? "grows" : duration(left)}</td>
    <td>${series && html`<${Spark} values=${series.points.map((p) => p.completed)} label=${`${count(series.completed)} done in the last hour`} />`}</td>
    <td class="num"><button class="small" onClick=${() => (held ? resume(held) : pause({ queue: q.queue }))} ...${needs("operator")}>${held ? "Resume" : "Pause"}</button></td></tr>`;
}

export function Queues() {
  const asked = useQueues();
  const hour = useStats("1h", 10_000);
  return html`<${Page} title="Queues" at=${asked.at} actions=${html`<button onClick=${() => pause()} ...${needs("operator")}>Pause a kind or tenant…</button>`}>
    <${Loaded} of=${asked}>${({ queues, pauses }) => (queues.length === 0 ? html`<${Empty} title="No queue yet">A queue is there as soon as a worker looks after it or a job waits in it.<//>` : html`
      <div class="scroll"><table><thead><tr><th scope="col">queue</th><th scope="col" class="num">due</th><th scope="col" class="num">oldest</th><th scope="col" class="num">running</th><th scope="col" class="num">to retry</th>
        <th scope="col" class="num hide-phone">scheduled</th><th scope="col" class="num hide-phone">waiting</th><th scope="col" class="num hide-phone">wait p95</th><th scope="col" class="num hide-phone">gone in</th><th scope="col">last hour</th><th scope="col"><span class="sr">pause</span></th></tr></thead>
        <tbody>${queues.map((q) => html`<${Row} key=${q.queue} q=${q} pauses=${pauses} series=${hour.data?.queues[q.queue]} />`)}</tbody></table></div>
      <${Pauses} pauses=${pauses} />`)}<//>
  <//>`;
}
