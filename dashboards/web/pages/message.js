// One chat message: every step of it as a bar on one line of time.
import { html } from "../lib/ui.js";
import { Link } from "../lib/router.js";
import { now, useApi } from "../lib/live.js";
import { get, part } from "../lib/api.js";
import { duration } from "../lib/format.js";
import { number } from "../lib/json.js";
import { Facts, Loaded, Page, Part, When } from "../parts/page.js";
import { State } from "../parts/icons.js";

/** The message's own job, and all that belongs to it, oldest first. */
async function trace(id, signal) {
  const job = await get(`/v1/jobs/${part(id)}`, {}, signal);
  const found = job.correlation_id ? (await get("/v1/jobs", { correlation: job.correlation_id, limit: 100 }, signal)).jobs : [];
  const delivery = job.result?.deliveryJobId;
  if (delivery && !found.some((other) => other.id === delivery)) {
    const answer = await get(`/v1/jobs/${part(delivery)}`, {}, signal).catch((problem) => { if (problem.status === 404) return null; throw problem; });
    if (answer) found.push(answer);
  }
  const steps = [job, ...found.filter((other) => other.id !== id)];
  steps.sort((a, b) => a.enqueued_at.localeCompare(b.enqueued_at) || a.id.localeCompare(b.id));
  return { job, steps };
}

function Waterfall({ steps }) {
  const start = Math.min(...steps.map((step) => Date.parse(step.enqueued_at)));
  const end = Math.max(...steps.map((step) => (step.finished_at ? Date.parse(step.finished_at) : now())), start + 1);
  const share = (ms) => `${Math.max(0, Math.min(100, (ms / (end - start)) * 100))}%`;
  return html`<ol class="water">${steps.map((step) => {
    const [came, began] = [Date.parse(step.enqueued_at), step.claimed_at ? Date.parse(step.claimed_at) : now()];
    const done = step.finished_at ? Date.parse(step.finished_at) : step.claimed_at ? now() : began;
    return html`<li><span class="clip"><${State} state=${step.state} word="" /> <${Link} class="row" to=${`/jobs/${step.id}`}>${step.kind}<//></span>
      <span class="track" role="img" aria-label=${`waited ${duration(began - came)}, ran ${duration(done - began)}`} title=${`waited ${duration(began - came)}, ran ${duration(done - began)}`}>
        <i class="wait" style=${{ left: share(came - start), width: share(began - came) }}></i><i data-state=${step.state} style=${{ left: share(began - start), width: share(done - began) }}></i></span>
      <span class="num">${duration(done - came)}</span></li>`;
  })}</ol><p class="muted">Grey is waiting, colour is running. From arrival to the end: ${duration(end - start)}.</p>`;
}

export function Message({ id }) {
  const asked = useApi(`trace ${id}`, {}, { every: 3000, ask: (signal) => trace(id, signal) });
  const job = asked.data?.job;
  const result = job?.result ?? {};
  const usage = result.usage ?? result.tokens ?? {};
  const sources = Array.isArray(result.sources) ? result.sources : [];
  const title = job ? html`<span class="title"><${State} state=${job.state} />Message<code>${job.unique_key ?? job.id}</code></span>` : "Message";
  return html`<${Page} title=${title} name="Message" at=${asked.at} actions=${job && html`<${Link} class="button" to=${`/jobs/${job.id}`}>Its job<//>`}>
    <${Loaded} of=${asked}>${({ steps }) => html`
      <div class="box"><${Facts} of=${[["tenant", job.tenant_id], ["conversation", job.ordering_key?.replace(/^conversation\//, "")], ["came in", html`<${When} at=${job.enqueued_at} />`], ["answered by", result.model], ["action", result.action],
        ["tokens", usage.total_tokens ?? usage.totalTokens], ["cost", result.costUsd !== undefined && `$ ${result.costUsd}`]]} /></div>
      <${Part} title="Steps"><${Waterfall} steps=${steps} /><//>
      ${sources.length > 0 && html`<${Part} title="Sources"><table><tbody>${sources.map((source) => html`<tr><td class="num muted">${source.number}</td><td>${source.name}</td><td class="num">${source.similarity !== undefined && Number(number(source.similarity)).toFixed(3)}</td></tr>`)}</tbody></table><//>`}`}<//>
  <//>`;
}
