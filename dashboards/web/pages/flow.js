// One flow: how far it is, what waits for what, and why.
import { html } from "../lib/ui.js";
import { needs } from "../lib/may.js";
import { Link } from "../lib/router.js";
import { useApi } from "../lib/live.js";
import { part, post } from "../lib/api.js";
import { count, plural } from "../lib/format.js";
import { Facts, Loaded, Page, Part, When } from "../parts/page.js";
import { State } from "../parts/icons.js";
import { Graph } from "../parts/graph.js";
import { act, ask } from "../parts/dialog.js";
import { flowState, Progress } from "./flows.js";

const waitsFor = (step) => (step.pending > 0 ? `waits for ${count(step.pending)} of ${count(step.parents.length)}` : step.reason ?? "");

async function retry(flow, from) {
  const answer = await ask({ title: from ? `Retry from ${from}?` : `Retry ${flow.name}?`, text: from ? "This step and all that come after it run again." : "Every step that failed, and what came after, runs again.", verb: "Retry", reason: true });
  if (answer) await act(() => post(`/v1/flows/${part(flow.id)}/retry`, undefined, { reason: answer.reason, from }), (done) => `${plural(Number(done.steps), "step")} to run again.`);
}

async function cancel(flow) {
  const answer = await ask({ title: `Cancel ${flow.name}?`, text: `${plural(flow.unfinished, "step")} of it ${flow.unfinished === 1 ? "is" : "are"} not finished.`, verb: "Cancel it", danger: true, rows: flow.unfinished, reason: true });
  if (answer) await act(() => post(`/v1/flows/${part(flow.id)}/cancel`, undefined, { reason: answer.reason }), "The flow is cancelled.");
}

export function Flow({ id }) {
  const asked = useApi(`/v1/flows/${part(id)}`, { limit: 500 }, { every: 2500 });
  const { data: flow } = asked;
  const title = flow ? html`<span class="title"><${State} state=${flowState(flow)} word=${flow.state} />${flow.name}<code>${flow.id}</code></span>` : "Flow";
  const actions = flow && html`${flow.unfinished > 0 && html`<button class="danger" onClick=${() => cancel(flow)} ...${needs("operator")}>Cancel</button>`}${(flow.failed > 0 || flow.state === "cancelled") && html`<button class="primary" onClick=${() => retry(flow)} ...${needs("operator")}>Retry</button>`}`;
  return html`<${Page} title=${title} name=${flow?.name ?? "Flow"} at=${asked.at} actions=${actions}>
    <${Loaded} of=${asked}>${() => html`
      <div class="box"><${Facts} of=${[["progress", html`<${Progress} flow=${flow} /> ${count(flow.total - flow.unfinished)} of ${count(flow.total)}`], ["completed", count(flow.completed)], ["failed", flow.failed > 0 && count(flow.failed)], ["skipped", flow.skipped > 0 && count(flow.skipped)], ["tenant", flow.tenant_id], ["started", html`<${When} at=${flow.created_at} />`], ["finished", flow.finished_at && html`<${When} at=${flow.finished_at} />`]]} /></div>
      <${Part} title="Graph"><${Graph} steps=${flow.steps} /><//>
      <${Part} title="Steps"><div class="scroll"><table><thead><tr><th scope="col">state</th><th scope="col">step</th><th scope="col">kind</th><th scope="col">after</th><th scope="col">why</th><th scope="col"><span class="sr">retry</span></th></tr></thead>
        <tbody>${flow.steps.map((step) => html`<tr key=${step.name}><td><${State} state=${step.state} /></td><td><${Link} class="row" to=${`/jobs/${step.job_id}`}>${step.name}<//></td><td>${step.kind}</td><td class="muted">${step.parents.slice(0, 4).join(", ")}${step.parents.length > 4 ? ` and ${step.parents.length - 4} more` : ""}</td>
          <td>${waitsFor(step)}</td><td class="num">${["dead", "cancelled", "completed"].includes(step.state) && html`<button class="small" onClick=${() => retry(flow, step.name)} ...${needs("operator")}>Retry from here</button>`}</td></tr>`)}</tbody></table></div>
        ${flow.next !== null && html`<p class="muted">The first ${count(flow.steps.length)} steps; the rest: <code>jobctl flows show ${flow.id}</code></p>`}<//>`}<//>
  <//>`;
}
