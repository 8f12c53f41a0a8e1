// The processes that run jobs.
import { html } from "../lib/ui.js";
import { needs } from "../lib/may.js";
import { useApi } from "../lib/live.js";
import { part, post } from "../lib/api.js";
import { count, plural, since } from "../lib/format.js";
import { Empty, Loaded, Page, When } from "../parts/page.js";
import { State } from "../parts/icons.js";
import { act, ask } from "../parts/dialog.js";

const SILENT = 45_000;
const MOST = 120;

const Slots = ({ worker }) => html`<span class="slots" role="img" aria-label=${`${worker.running} of ${worker.slots} slots in use`} title=${`${worker.running} of ${worker.slots}`}>${Array.from({ length: Math.min(worker.slots, MOST) }, (_, i) => html`<i class=${i < worker.running ? "on" : ""}></i>`)}</span>`;

async function drain(worker) {
  const answer = await ask({ title: `Drain ${worker.host} ${worker.pid}?`, text: "It finishes what runs and starts nothing more; others go on.", verb: "Drain", reason: true });
  if (answer) await act(() => post(`/v1/workers/${part(worker.id)}/drain`, undefined, { reason: answer.reason }), "It starts nothing more.");
}

const stateOf = (worker) => (since(worker.beat_at) > SILENT ? ["dead", "silent"] : worker.draining ? ["waiting", "draining"] : ["completed", "working"]);

export function Workers() {
  const asked = useApi("/v1/workers", {}, { every: 2500 });
  return html`<${Page} title="Workers" at=${asked.at}>
    <${Loaded} of=${asked}>${({ workers }) => {
      const versions = new Set(workers.map((worker) => worker.version));
      return workers.length === 0 ? html`<${Empty} title="No worker is running">Start one with <code>metachat-jobs run --role worker</code>. Jobs wait until then.<//>` : html`
        ${versions.size > 1 && html`<div class="notice warn">${versions.size} versions run side by side: ${[...versions].join(", ")}.</div>`}
        <div class="scroll"><table><thead><tr><th scope="col">state</th><th scope="col">process</th><th scope="col">version</th><th scope="col">slots</th><th scope="col" class="num">running</th><th scope="col">queues</th><th scope="col" class="num">last beat</th><th scope="col" class="num">started</th><th scope="col"><span class="sr">drain</span></th></tr></thead>
        <tbody>${workers.map((worker) => html`<tr key=${worker.id}><td><${State} state=${stateOf(worker)[0]} word=${stateOf(worker)[1]} /></td><td><b>${worker.host}</b> <code class="muted" title=${worker.id}>${worker.pid}</code></td><td>${worker.version}</td><td><${Slots} worker=${worker} /></td>
          <td class="num">${count(worker.running)} of ${count(worker.slots)}</td><td class="queues" title=${worker.queues.join(", ")}><span class="clip">${worker.queues.join(", ")}</span></td><td class="num"><${When} at=${worker.beat_at} /></td><td class="num"><${When} at=${worker.started_at} /></td>
          <td class="num">${worker.draining ? html`<button class="small" onClick=${() => act(() => post(`/v1/workers/${part(worker.id)}/undrain`), "It takes jobs again.")} ...${needs("admin")}>Undrain</button>` : html`<button class="small" onClick=${() => drain(worker)} ...${needs("admin")}>Drain</button>`}</td></tr>`)}</tbody></table></div>
        <p class="asof">${plural(workers.length, "process", "processes")}</p>`;
    }}<//>
  <//>`;
}
