// Flows: jobs that wait for jobs.
import { html } from "../lib/ui.js";
import { Link, usePlace } from "../lib/router.js";
import { useApi } from "../lib/live.js";
import { count, shortId } from "../lib/format.js";
import { Empty, Loaded, Page, When } from "../parts/page.js";
import { State } from "../parts/icons.js";
import { Filters, Pager } from "../parts/filters.js";

export const flowState = (flow) => ({ failed: "dead", completed: "completed", cancelled: "cancelled" })[flow.state] ?? "running";
export const Progress = ({ flow }) => html`<progress max=${flow.total} value=${flow.total - flow.unfinished} aria-label=${`${flow.total - flow.unfinished} of ${flow.total} steps`}></progress>`;

export function Flows() {
  const { query } = usePlace();
  const finished = { running: "false", finished: "true" }[query.show];
  const asked = useApi("/v1/flows", { name: query.name, tenant: query.tenant, finished, after: query.after }, { every: 3000 });
  return html`<${Page} title="Flows" at=${asked.at}>
    <${Filters} names=${["name", "tenant", "show"]} options=${{ show: ["running", "finished"] }} labels=${{ show: "state" }} />
    <${Loaded} of=${asked}>${({ flows, next }) => (flows.length === 0 ? html`<${Empty} title="No flow matches">A flow is a graph of jobs started at once with <code>POST /v1/flows</code> or <code>jobctl flows start</code>.<//>` : html`
      <div class="scroll"><table><thead><tr><th scope="col">state</th><th scope="col">flow</th><th scope="col">tenant</th><th scope="col">progress</th><th scope="col" class="num">steps</th><th scope="col" class="num">failed</th><th scope="col" class="num">started</th></tr></thead>
      <tbody>${flows.map((flow) => html`<tr key=${flow.id}><td><${State} state=${flowState(flow)} word=${flow.state} /></td><td><${Link} class="row" to=${`/flows/${flow.id}`}>${flow.name}<//> <code class="muted">${shortId(flow.id)}</code></td><td>${flow.tenant_id ?? html`<span class="muted">–</span>`}</td>
        <td><${Progress} flow=${flow} /></td><td class="num">${count(flow.total - flow.unfinished)} of ${count(flow.total)}</td><td class="num">${count(flow.failed)}</td><td class="num"><${When} at=${flow.created_at} /></td></tr>`)}</tbody></table></div>
      <${Pager} next=${next} name="after" />`)}<//>
  <//>`;
}
