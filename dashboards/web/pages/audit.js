// Who did what, when and why.
import { html } from "../lib/ui.js";
import { usePlace } from "../lib/router.js";
import { useApi } from "../lib/live.js";
import { Empty, Loaded, Page, When } from "../parts/page.js";
import { Filters, Pager } from "../parts/filters.js";

const line = (value) => (value === null || value === undefined ? null : typeof value === "string" ? value : JSON.stringify(value));

export function Audit() {
  const { query } = usePlace();
  const asked = useApi("/v1/audit", { actor: query.actor, action: query.action, subject: query.subject, tenant: query.tenant, limit: 100, cursor: query.cursor }, { every: 5000 });
  return html`<${Page} title="Audit" at=${asked.at} lead="Only added to: the database itself refuses to change a line.">
    <${Filters} names=${["actor", "action", "subject", "tenant"]} />
    <${Loaded} of=${asked}>${({ entries, next }) => (entries.length === 0 ? html`<${Empty} title="No entry matches">Whatever an operator changes comes here, by API, jobctl or this page.<//>` : html`
      <div class="scroll"><table><thead><tr><th scope="col">when</th><th scope="col">who</th><th scope="col">what</th><th scope="col">to what</th><th scope="col">why</th><th scope="col">before → after</th></tr></thead>
      <tbody>${entries.map((entry) => html`<tr key=${String(entry.id)}><td><${When} at=${entry.at} /></td><td>${entry.actor}</td><td><code>${entry.action}</code></td><td class="subject"><code>${entry.subject}</code>${entry.tenant_id && html` <span class="muted">${entry.tenant_id}</span>`}</td><td>${entry.reason ?? html`<span class="muted">–</span>`}</td>
        <td class="change">${(entry.before ?? entry.after) != null && html`<details><summary><code class="clip">${[line(entry.before) ?? "–", line(entry.after) ?? "–"].join(" → ")}</code></summary><pre class="json">${line(entry.before) ?? "–"}\n→ ${line(entry.after) ?? "–"}</pre></details>`}</td></tr>`)}</tbody></table></div><${Pager} next=${next} />`)}<//>
  <//>`;
}
