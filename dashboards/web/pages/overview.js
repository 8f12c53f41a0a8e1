// The first page: is all well, and if not, where.
import { html } from "../lib/ui.js";
import { Link, go, usePlace, withQuery } from "../lib/router.js";
import { clock, useApi } from "../lib/live.js";
import { useSignal } from "../lib/signal.js";
import { get } from "../lib/api.js";
import { ago, count, duration, percent, plural, short, since } from "../lib/format.js";
import { isLate, standing } from "../lib/attention.js";
import { attention, verdict } from "../lib/verdict.js";
import { RANGES, quantile, recent, useStats } from "../lib/stats.js";
import { Loaded, Page, Part, When } from "../parts/page.js";
import { Spark, Throughput } from "../parts/charts.js";

const WORDS = { healthy: "Healthy.", degraded: "Degraded:", failing: "Failing:", unknown: "" };
const SHAPES = { healthy: "M3.700 9.300L0 5.600l1.500-1.500 2.200 2.200L8.500 1.400 10 2.900z", degraded: "M5 0l5 5-5 5-5-5z", failing: "M1.400 0L5 3.600 8.600 0 10 1.400 6.400 5 10 8.600 8.600 10 5 6.400 1.400 10 0 8.600 3.600 5 0 1.400z", unknown: "" };

function Verdict({ of }) {
  const body = html`<svg viewBox="0 0 10 10" aria-hidden="true"><path d=${SHAPES[of.is]} /></svg><strong>${WORDS[of.is]}</strong><span>${of.text}</span>`;
  return html`<div class="verdict" data-is=${of.is} role="status">${body}${of.to && html`<${Link} to=${of.to}>Look<//>`}</div>`;
}

const Card = ({ name, value, more, to, tone }) => html`<li class="card" data-tone=${tone}><${Link} to=${to}><span>${name}</span><b>${value}</b><small>${more}</small><//></li>`;

function Cards({ queues, workers, hour, now, slow }) {
  const sum = (key) => queues.reduce((all, queue) => all + queue[key], 0);
  const due = queues.filter((queue) => queue.available > 0);
  const last = queues.filter((queue) => queue.oldest_available_at).sort((a, b) => a.oldest_available_at.localeCompare(b.oldest_available_at))[0];
  const oldest = last && since(last.oldest_available_at);
  const capped = queues.some((queue) => queue.capped) ? "≥ " : "";
  const slots = workers.reduce((all, worker) => all + worker.slots, 0);
  const waits = hour ? quantile(hour, 0.95) : null;
  const attempts = now ? now.completed + now.failed : 0;
  const late = slow?.schedules.filter(isLate).length ?? 0;
  const proven = (slow?.backups ?? []).map((target) => target.last_verified_at).filter(Boolean).sort()[0];
  const unproven = slow?.backups?.some((target) => target.unverified || target.late);
  const dead = slow?.dead;
  return html`<ul class="cards">
    <${Card} name="waiting" to="/jobs?state=available" value=${capped + short(sum("available"))} more=${due.length ? `in ${plural(due.length, "queue")}` : "nothing due"} />
    <${Card} name="running" to="/jobs?state=running" value=${html`${count(sum("running"))}<i> of ${count(slots)}</i>`} more=${plural(workers.length, "worker")} tone=${workers.length ? "" : "warn"} />
    <${Card} name="oldest" to=${last ? `/queues/${encodeURIComponent(last.queue)}` : "/queues"} value=${last ? duration(Math.floor(oldest / 1000) * 1000) : "–"} more=${last ? last.queue : "nothing due"} tone=${oldest > 60_000 ? "warn" : ""} />
    <${Card} name="wait p95" to="/queues" value=${waits === null ? "–" : `≤ ${duration(waits)}`} more="last hour" tone=${waits > 60_000 ? "warn" : ""} />
    <${Card} name="failed" to="/errors" value=${attempts ? percent(now.failed / attempts) : "–"} more=${attempts ? `of ${short(attempts)}, 5 min` : "nothing ran for 5 min"} tone=${attempts >= 20 && now.failed / attempts > 0.05 ? "bad" : ""} />
    <${Card} name="dead" to="/errors" value=${dead ? (dead.at_least ? "≥ " : "") + short(dead.jobs) : "–"} more=${now ? `+${count(now.deadHour)} in an hour` : " "} tone=${now?.deadHour ? "bad" : ""} />
    <${Card} name="late schedules" to="/schedules" value=${slow ? count(late) : "–"} more=${slow ? `of ${slow.schedules.filter((s) => s.status === "active").length}` : " "} tone=${late ? "warn" : ""} />
    <${Card} name="restore proven" to="/backups" value=${proven ? ago(proven) : slow?.backups?.length ? "never" : "–"} more=${slow?.backups?.length ? plural(slow.backups.length, "backup target") : "no backups set up"} tone=${unproven ? "warn" : ""} />
  </ul>`;
}

function Queues({ queues, series, pauses, workers }) {
  const names = [...new Set([...queues.map((q) => q.queue), ...workers.flatMap((w) => w.queues)])];
  const none = { available: 0, running: 0, retryable: 0, scheduled: 0, waiting: 0 };
  const all = names.map((queue) => ({ ...none, queue, ...queues.find((q) => q.queue === queue), hour: series?.[queue] }));
  const weight = (q) => q.available + q.running + q.retryable;
  all.sort((a, b) => weight(b) - weight(a) || a.queue.localeCompare(b.queue));
  return html`<div class="scroll"><table><thead><tr><th scope="col">queue</th><th scope="col" class="num">due</th><th scope="col" class="num">oldest</th><th scope="col" class="num">running</th>
      <th scope="col" class="num hide-phone">to retry</th><th scope="col" class="num hide-phone">later</th><th scope="col" class="num hide-phone">wait p95</th><th scope="col">last hour</th></tr></thead>
    <tbody>${all.map((q) => {
      const paused = pauses.find((p) => p.queue === q.queue && !p.kind && !p.tenant_id);
      const p95 = q.hour ? quantile(q.hour, 0.95) : null;
      return html`<tr key=${q.queue}><td><${Link} class="row" to=${`/queues/${encodeURIComponent(q.queue)}`}>${q.queue}<//>${paused && html` <span class="tag">paused</span>`}</td>
        <td class="num">${q.capped ? "≥ " : ""}${count(q.available)}</td><td class="num">${q.oldest_available_at ? duration(Math.floor(since(q.oldest_available_at) / 1000) * 1000) : html`<span class="muted">–</span>`}</td>
        <td class="num">${count(q.running)}</td><td class="num hide-phone">${count(q.retryable)}</td><td class="num hide-phone">${count(q.scheduled + q.waiting)}</td>
        <td class="num hide-phone">${p95 === null ? html`<span class="muted">–</span>` : `≤ ${duration(p95)}`}</td>
        <td>${q.hour ? html`<${Spark} values=${q.hour.points.map((p) => p.completed)} label=${`${count(q.hour.completed)} done in the last hour`} />` : html`<span class="muted">quiet</span>`}</td></tr>`;
    })}</tbody></table></div>`;
}

export function Overview() {
  useSignal(clock);
  const { query } = usePlace();
  const range = RANGES[query.range] ? query.range : "1h";
  const now = useApi("overview", {}, {
    every: 2000,
    ask: async (signal) => {
      const [queues, workers, health] = await Promise.all([get("/v1/queues", {}, signal), get("/v1/workers", {}, signal), get("/health", {}, signal).catch(() => null)]);
      return { queues: queues.queues, workers: workers.workers, health };
    },
  });
  const hour = useStats("1h", 5000);
  const shown = useStats(range, 10_000);
  const { data: slow } = useSignal(standing);
  const fresh = hour.data ? recent(hour.data) : null;
  const said = verdict({ ...now.data, standing: slow, recent: fresh });
  const lines = attention({ standing: slow, workers: now.data?.workers });
  const pick = html`<div class="seg" role="group" aria-label="Range">${Object.keys(RANGES).map((name) => html`<button type="button" aria-pressed=${name === range ? "true" : "false"} onClick=${() => go(withQuery({ range: name === "1h" ? undefined : name }), { replace: true })}>${name}</button>`)}</div>`;
  return html`<${Page} title="Overview" at=${now.at}>
    <${Loaded} of=${now} rows=${8}>${({ queues, workers }) => html`
      <${Verdict} of=${said} />
      <${Cards} queues=${queues} workers=${workers} hour=${hour.data} now=${fresh} slow=${slow} />
      <${Part} title="In, done and failed" actions=${pick}><${Loaded} of=${shown} rows=${4}>${(stats) => html`<${Throughput} points=${stats.points} unit=${RANGES[range].unit} marks=${workers.map((worker) => worker.started_at)} />`}<//><//>
      <${Part} title="Needs attention">${lines.length
        ? html`<ul class="attention">${lines.map(([text, to]) => html`<li><${Link} to=${to}>${text}<//></li>`)}</ul>`
        : html`<p class="muted">Nothing. ${slow ? "" : "Still looking…"}</p>`}<//>
      <${Part} title="Queues"><${Queues} queues=${queues} workers=${workers} series=${hour.data?.queues} pauses=${slow?.pauses ?? []} /><//>`}<//>
  <//>`;
}
