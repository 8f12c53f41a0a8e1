// Messages that were, or may have been, sent: somebody has to decide on the last.
import { html } from "../lib/ui.js";
import { needs } from "../lib/may.js";
import { Link, usePlace } from "../lib/router.js";
import { useApi } from "../lib/live.js";
import { part, post } from "../lib/api.js";
import { Empty, Loaded, Page, When } from "../parts/page.js";
import { State } from "../parts/icons.js";
import { Filters, Pager } from "../parts/filters.js";
import { act, ask } from "../parts/dialog.js";

const STATES = { pending: "available", sending: "running", sent: "completed", unknown: "retryable", failed: "dead" };

async function resend(item) {
  const answer = await ask({ title: "Send it again?", text: "If it had been sent, the person gets it twice.", verb: "Send again", danger: true, reason: true });
  if (answer) await act(() => post(`/v1/outbox/${part(item.id)}/resend`, undefined, { reason: answer.reason }), "It is sent again.");
}
async function markSent(item) {
  const answer = await ask({ title: "It was sent?", verb: "Mark as sent", reason: true, fields: [{ name: "provider_id", label: "The provider's id (optional)" }] });
  if (answer) await act(() => post(`/v1/outbox/${part(item.id)}/mark-sent`, undefined, { provider_id: answer.provider_id, reason: answer.reason }), "It is marked as sent.");
}

export function Outbox() {
  const { query } = usePlace();
  const asked = useApi("/v1/outbox", { state: query.state, tenant: query.tenant, cursor: query.cursor }, { every: 4000 });
  return html`<${Page} title="Outbox" at=${asked.at} lead="What is sent to people, part by part. “Unknown” means that the provider's answer was lost: only a person can tell whether it arrived.">
    <${Filters} names=${["state", "tenant"]} options=${{ state: Object.keys(STATES) }} />
    <${Loaded} of=${asked}>${({ parts, next }) => (parts.length === 0 ? html`<${Empty} title="Nothing here">Replies by WhatsApp and Messenger pass through here.<//>` : html`
      <div class="scroll"><table><thead><tr><th scope="col">state</th><th scope="col">message</th><th scope="col">channel</th><th scope="col">tenant</th><th scope="col">error</th><th scope="col" class="num">changed</th><th scope="col"><span class="sr">decide</span></th></tr></thead>
      <tbody>${parts.map((item) => html`<tr key=${item.id}><td><${State} state=${STATES[item.state] ?? "scheduled"} word=${item.state} /></td><td><${Link} class="row" to=${`/jobs/${item.job_id}`}>${item.message_id}<//> <span class="muted">part ${item.part} of ${item.parts}</span></td><td>${item.channel}</td><td>${item.tenant_id}</td>
        <td>${item.error ?? html`<span class="muted">–</span>`}</td><td class="num"><${When} at=${item.updated_at} /></td>
        <td class="num">${["unknown", "failed"].includes(item.state) && html`<button class="small" onClick=${() => resend(item)} ...${needs("operator")}>Send again</button> <button class="small" onClick=${() => markSent(item)} ...${needs("operator")}>Was sent</button>`}</td></tr>`)}</tbody></table></div><${Pager} next=${next} />`)}<//>
  <//>`;
}
