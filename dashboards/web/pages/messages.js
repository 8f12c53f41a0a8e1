// Chat messages on their way: from arrival to delivery.
import { html } from "../lib/ui.js";
import { Link, usePlace } from "../lib/router.js";
import { useApi } from "../lib/live.js";
import { reached, useSearching } from "../lib/searching.js";
import { between, duration, shortId } from "../lib/format.js";
import { Empty, Loaded, Page, When } from "../parts/page.js";
import { State } from "../parts/icons.js";
import { Filters, Pager } from "../parts/filters.js";

export const KIND = "process_message";

export function Messages() {
  const { query } = usePlace();
  const asked = useApi("/v1/jobs", { kind: KIND, tenant: query.tenant, correlation: query.correlation, state: query.state, limit: 50, after: query.after }, { every: 3000 });
  useSearching(asked.data);
  return html`<${Page} title="Messages" at=${asked.at} lead="One row per chat message; open one to see where its time went.">
    <${Filters} names=${["tenant", "correlation", "state"]} options=${{ state: ["available", "running", "retryable", "waiting", "completed", "dead"] }} />
    <${Loaded} of=${asked}>${({ jobs, next }) => (jobs.length === 0 ? next ? html`<${Empty} title="Searching">Nothing since <${When} at=${reached(next)} />; what is older is being looked at.<//>` : html`<${Empty} title="No message">Messages come in by <code>POST /v1/messages</code>, Meta's webhooks or RabbitMQ.<//>` : html`
      <div class="scroll"><table><thead><tr><th scope="col">answer</th><th scope="col">message</th><th scope="col">tenant</th><th scope="col">conversation</th><th scope="col" class="num">attempt</th><th scope="col" class="num">took</th><th scope="col" class="num">came in</th></tr></thead>
      <tbody>${jobs.map((job) => html`<tr key=${job.id}><td><${State} state=${job.state} /></td><td><${Link} class="row" to=${`/messages/${job.id}`}>${job.unique_key ?? shortId(job.id)}<//></td><td>${job.tenant_id}</td>
        <td><code>${(job.ordering_key ?? "–").replace(/^conversation\//, "")}</code></td><td class="num">${job.attempt} / ${job.max_attempts}</td><td class="num">${job.finished_at ? duration(between(job.enqueued_at, job.finished_at)) : "–"}</td><td class="num"><${When} at=${job.enqueued_at} /></td></tr>`)}</tbody></table></div>
      <${Pager} next=${next} name="after" />`)}<//>
  <//>`;
}
