// One job: all that happened to it, and what can be done about it.
import { html, useEffect, useState } from "../lib/ui.js";
import { needs } from "../lib/may.js";
import { Link, go, href } from "../lib/router.js";
import { get, part, post } from "../lib/api.js";
import { clock, useApi } from "../lib/live.js";
import { useSignal } from "../lib/signal.js";
import { between, clockTime, duration, plural, shortId, since } from "../lib/format.js";
import { OPERATIONS, operate } from "../lib/operate.js";
import { atATime } from "../lib/timing.js";
import { parse, pretty } from "../lib/json.js";
import { Facts, Loaded, Page, Part, When } from "../parts/page.js";
import { Icon, State } from "../parts/icons.js";
import { Menu } from "../parts/menu.js";
import { Json } from "../parts/json.js";
import { Attempts } from "../parts/attempts.js";
import { act, ask, copy } from "../parts/dialog.js";
import { KIND } from "./messages.js";

const OVER = ["completed", "cancelled", "dead"];
/** Those that wait for nothing but a time or a worker. */
const DUE = ["available", "scheduled", "retryable"];

/** What happened, moment by moment. */
function moments(job) {
  const line = [{ at: job.enqueued_at, word: "enqueued" }];
  if (Date.parse(job.run_at) - Date.parse(job.enqueued_at) > 1000 && job.attempts.length === 0 && job.state !== "scheduled") line.push({ at: job.run_at, word: "due" });
  for (const attempt of job.attempts) {
    line.push({ at: attempt.started_at, word: "leased", more: attempt.worker, state: "running" });
    const bad = ["failed", "panicked", "timed_out", "crashed", "discarded"].includes(attempt.outcome);
    line.push({ at: attempt.ended_at, word: attempt.outcome.replace("_", " "), state: bad ? "dead" : attempt.outcome === "completed" ? "completed" : "scheduled" });
  }
  if (job.state === "running" && job.claimed_at) line.push({ at: job.claimed_at, word: "leased", more: job.worker, state: "running" });
  if (job.cancel_requested_at) line.push({ at: job.cancel_requested_at, word: "asked to stop", state: "cancelled" });
  if (job.finished_at && job.attempts.at(-1)?.outcome !== job.state) line.push({ at: job.finished_at, word: job.state, state: job.state });
  if (["scheduled", "retryable"].includes(job.state)) line.push({ at: job.run_at, word: job.state === "retryable" ? "next attempt" : "due", state: job.state });
  return line;
}

function Timeline({ job }) {
  useSignal(clock);
  const line = moments(job);
  const last = line.slice(-40);
  return html`<ol class="line" tabindex="0" aria-label="What happened">${last.map((moment, i) => html`<li data-state=${moment.state}>
    ${i + 1 < last.length && html`<small>${duration(between(moment.at, last[i + 1].at))}</small>`}
    <b>${moment.word}</b><span title=${moment.at}>${clockTime(moment.at)}${moment.more && html` <code title=${moment.more}>${shortId(moment.more)}</code>`}</span></li>`)}
    ${job.state === "running" && html`<li data-state="running"><b>running</b><span>${duration(since(job.claimed_at))}; lease for ${duration(-since(job.lease_expires_at))} more</span></li>`}</ol>`;
}

/** Whether something of it stands as `[redacted]` or `[sealed …]`. */
const isHidden = (value) => /"\[(redacted|sealed)/.test(pretty(value));

/** Edits the args; runs a new job with them, or the same one. */
async function editAndRun(job, shown) {
  let args = shown;
  if (isHidden(shown)) {
    const whole = await act(() => get(`/v1/jobs/${part(job.id)}`, { args: true, reveal: true }), "The args are shown in full; the audit log has it.");
    if (!whole) return;
    args = whole.args;
  }
  const over = OVER.includes(job.state);
  const answer = await ask({
    title: "Run again with other args", verb: "Run it", wide: true, reason: true,
    fields: [
      { name: "args", label: "Args", rows: 14, value: pretty(args), required: true, check: (text) => { try { parse(text); return ""; } catch (error) { return `The args are no JSON: ${error.message}.`; } } },
      { name: "how", label: "How", options: [...(over ? [["new", "As a new job, which belongs to the same correlation"]] : []), ["same", "The same job, in place"]] },
    ],
  });
  if (!answer) return;
  const how = answer.how || (over ? "new" : "same");
  const body = `{"args": ${answer.args}, "in_place": ${how === "same"}}`;
  const done = await act(() => post(`/v1/jobs/${part(job.id)}/rerun`, body, { reason: answer.reason }), how === "same" ? "The job is available again." : "A new job runs it.");
  if (done?.id && done.id !== job.id) go(`/jobs/${done.id}`);
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function Actions({ job, args, reload }) {
  const can = Object.entries(OPERATIONS).filter(([, o]) => o.from.includes(job.state));
  const curl = () => copy(`curl -s ${quoted(`${location.origin}/v1/jobs`)} -H "x-admin-key: $KEY" -H 'content-type: application/json' -d ${quoted(pretty({ kind: job.kind, queue: job.queue, priority: job.priority, tenant_id: job.tenant_id, args }))}`, "The curl command");
  const cli = () => copy(`jobctl enqueue ${quoted(job.kind)} ${quoted(JSON.stringify(args))} --queue ${quoted(job.queue)}${job.tenant_id ? ` --tenant ${quoted(job.tenant_id)}` : ""}`, "The jobctl command");
  const rerun = async () => {
    const done = await act(() => post(`/v1/jobs/${part(job.id)}/rerun`, {}), (answer) => ({ text: "A new job runs it again.", link: html`<${Link} to=${`/jobs/${answer.id}`}>Show<//>` }));
    if (done) reload();
  };
  return html`${can.map(([name, { verb, danger }], i) => html`<button class=${`${i === 0 && !danger ? "primary" : ""} ${danger ? "danger" : ""}`} onClick=${() => operate(name, job)} ...${needs("operator")}>${name === "requeue" && !OVER.includes(job.state) ? "Run now" : verb}</button>`)}
    <${Menu} label=${html`More<${Icon} name="down" />`} title="More" items=${[
      DUE.includes(job.state) && { label: "Snooze…", needs: "operator", act: () => atATime("snooze", job) },
      OVER.includes(job.state) && { label: "Requeue at…", needs: "operator", act: () => atATime("requeue", job) },
      job.state !== "running" && { label: "Edit and run…", needs: "operator", act: () => editAndRun(job, args) },
      OVER.includes(job.state) && { label: "Run again as a new job", needs: "operator", act: rerun },
      { label: "Copy as jobctl", act: cli }, { label: "Copy as curl", act: curl }, { label: "Copy the id", act: () => copy(job.id, "The id") },
    ]} />`;
}

function Related({ job }) {
  const { data } = useApi(job.correlation_id ? "/v1/jobs" : null, { correlation: job.correlation_id, limit: 50 }, { every: 5000 });
  const others = (data?.jobs ?? []).toReversed();
  if (!job.correlation_id || others.length < 2) return null;
  const message = others.find((other) => other.kind === KIND);
  return html`<${Part} title=${`Related: ${plural(others.length, "job")} of one correlation`} actions=${html`<${Link} class="button small" to=${href("/jobs", { correlation: job.correlation_id })}>As a list<//>${message && html`<${Link} class="button small" to=${`/messages/${message.id}`}>As a trace<//>`}`}>
    <div class="scroll"><table><tbody>${others.map((other) => html`<tr class=${other.id === job.id ? "on" : ""}><td><${State} state=${other.state} /></td>
      <td><${Link} class="row" to=${`/jobs/${other.id}`}>${other.kind}<//>${other.id === job.id && html` <span class="muted">this one</span>`}</td><td class="muted">${other.queue}</td>
      <td class="num"><${When} at=${other.finished_at ?? other.claimed_at ?? other.enqueued_at} /></td></tr>`)}</tbody></table></div><//>`;
}

export function Job({ id }) {
  const [reveal, setReveal] = useState(null);
  const asked = useApi(`/v1/jobs/${part(id)}`, { args: true }, { every: 2000 });
  const { data: job } = asked;
  useEffect(() => setReveal(null), [id]);
  const hidden = job && isHidden([job.args, job.result, job.progress]);
  const show = async () => {
    const answer = await ask({ title: "Show everything?", text: html`<p>Args and results may hold what people wrote. The audit log keeps that you looked.</p>`, verb: "Show it" });
    if (answer) setReveal(await act(() => get(`/v1/jobs/${part(id)}`, { args: true, reveal: true }), "Shown in full; the audit log has it."));
  };
  const seen = reveal ?? job;
  const title = job ? html`<span class="title"><${State} state=${job.state} />${job.kind}<code>${job.id}</code></span>` : "Job";
  return html`<${Page} title=${title} name=${job ? `${job.kind} ${job.state}` : "Job"} at=${asked.at} actions=${job && html`<${Actions} job=${job} args=${seen.args} reload=${asked.reload} />`}>
    <${Loaded} of=${asked}>${() => html`
      <${Timeline} job=${job} />
      <div class="grid2"><div class="box"><${Facts} of=${[
        ["tenant", job.tenant_id && html`<${Link} to=${href("/jobs", { tenant: job.tenant_id })}>${job.tenant_id}<//>`],
        ["queue", html`<${Link} to=${`/queues/${encodeURIComponent(job.queue)}`}>${job.queue}<//>, priority ${job.priority}`],
        ["attempt", html`${job.attempt} of ${job.max_attempts}${job.crashes ? `, ${plural(job.crashes, "crash", "crashes")}` : ""}`],
        ["worker", job.worker && html`<code>${job.worker}</code>`], ["tags", job.tags.length > 0 && job.tags.map((tag) => html`<span class="tag">${tag}</span> `)],
      ]} /></div><div class="box"><${Facts} of=${[
        ["ordered by", job.ordering_key && html`<code>${job.ordering_key}</code>`], ["unique key", job.unique_key && html`<code>${job.unique_key}</code>`],
        ["correlation", job.correlation_id && html`<${Link} to=${href("/jobs", { correlation: job.correlation_id })}><code>${job.correlation_id}</code><//>`],
        ["enqueued", html`<${When} at=${job.enqueued_at} />`], ["due", html`<${When} at=${job.run_at} />`], ["finished", job.finished_at && html`<${When} at=${job.finished_at} />`],
      ]} /></div></div>
      <${Attempts} attempts=${job.attempts} />
      <${Json} title="Args" value=${seen.args} actions=${hidden && !reveal && html`<button class="small" onClick=${show} ...${needs("operator")}>Show what is hidden</button>`} />
      ${job.progress != null && html`<${Json} title="Progress" value=${seen.progress} />`}
      <${Json} title="Result" value=${seen.result} none=${OVER.includes(job.state) ? "It recorded none." : "Not yet."} />
      <${Related} job=${job} />`}<//>
  <//>`;
}
