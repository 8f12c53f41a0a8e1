// Messages that could not become jobs.
import { html, useState } from "../lib/ui.js";
import { needs } from "../lib/may.js";
import { Link, usePlace } from "../lib/router.js";
import { useApi } from "../lib/live.js";
import { del, get, part, post } from "../lib/api.js";
import { bytes, count } from "../lib/format.js";
import { number } from "../lib/json.js";
import { Empty, Loaded, Page, When } from "../parts/page.js";
import { Filters, Pager } from "../parts/filters.js";
import { Json } from "../parts/json.js";
import { act, ask } from "../parts/dialog.js";

async function replay(message) {
  const answer = await ask({ title: "Replay this message?", text: "It is taken in again, as if it came now. If it is still broken it comes back here.", verb: "Replay", reason: true });
  if (answer) await act(() => post(`/v1/quarantine/${part(message.id)}/replay`, undefined, { reason: answer.reason }), (done) => ({ text: "It became a job.", link: html`<${Link} to=${`/jobs/${done.job_id}`}>Show<//>` }));
}
async function drop(message) {
  const answer = await ask({ title: "Drop this message?", text: "It is deleted for good.", verb: "Drop it", danger: true, reason: true });
  if (answer) await act(() => del(`/v1/quarantine/${part(message.id)}`, { reason: answer.reason }), "It is gone.");
}

export function Quarantine() {
  const { query } = usePlace();
  const [open, setOpen] = useState(null);
  const asked = useApi("/v1/quarantine", { tenant: query.tenant, cursor: query.cursor }, { every: 5000 });
  const show = async (message) => {
    if (open?.id === message.id) { setOpen(null); return; }
    const answer = await ask({ title: "Show the body?", text: "It may hold what a person wrote.", verb: "Show it" });
    if (answer) setOpen((await act(() => get(`/v1/quarantine/${part(message.id)}`, { body: true }), "Shown.")) ?? null);
  };
  return html`<${Page} title="Quarantine" at=${asked.at} lead="Messages that could not become jobs, with the reason. Nothing of them is lost until somebody drops them or their time is over.">
    <${Filters} names=${["tenant"]} />
    <${Loaded} of=${asked}>${({ messages, next }) => (messages.length === 0 ? html`<${Empty} title="Nothing is broken">A message that cannot be read comes here instead of being lost or tried for ever.<//>` : html`
      <div class="scroll"><table><thead><tr><th scope="col">reason</th><th scope="col">from</th><th scope="col">tenant</th><th scope="col" class="num">size</th><th scope="col" class="num">taken</th><th scope="col"><span class="sr">do</span></th></tr></thead>
      <tbody>${messages.map((message) => html`<tr key=${message.id}><td>${message.reason}</td><td><code>${message.source}</code></td><td>${message.tenant_id ?? html`<span class="muted">–</span>`}</td><td class="num">${bytes(number(message.body_bytes))}</td><td class="num"><${When} at=${message.taken_at} /></td>
        <td class="num"><button class="small" onClick=${() => show(message)} ...${needs("operator")}>${open?.id === message.id ? "Hide" : "Show"}</button> <button class="small" onClick=${() => replay(message)} ...${needs("operator")}>Replay</button> <button class="small danger" onClick=${() => drop(message)} ...${needs("operator")}>Drop</button></td></tr>
        ${open?.id === message.id && html`<tr><td colspan="6"><${Json} title="Headers" value=${open.headers} /><${Json} title="Body" value=${open.body} /></td></tr>`}`)}</tbody></table></div>
      <p class="asof">${count(messages.length)} on this page</p><${Pager} next=${next} />`)}<//>
  <//>`;
}
