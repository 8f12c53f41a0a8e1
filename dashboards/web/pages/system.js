// What everything stands on: health, versions, and this page's own numbers.
import { html } from "../lib/ui.js";
import { useApi } from "../lib/live.js";
import { get } from "../lib/api.js";
import { absolute, duration } from "../lib/format.js";
import { Facts, Loaded, Page, Part, When } from "../parts/page.js";
import { State } from "../parts/icons.js";

const UP = { up: ["completed", "up"], down: ["dead", "down"], not_configured: ["cancelled", "not set up"] };

/** Metrics by name, summed over their labels: what a glance needs. */
function metrics(text) {
  const sums = new Map();
  for (const line of (text ?? "").split("\n")) {
    const found = /^([a-zA-Z_:][\w:]*)(\{[^}]*\})? (-?[\d.e+-]+)$/.exec(line);
    if (found && !/_bucket$/.test(found[1])) sums.set(found[1], (sums.get(found[1]) ?? 0) + Number(found[3]));
  }
  return [...sums].sort(([a], [b]) => a.localeCompare(b));
}

export function System() {
  const health = useApi("system", {}, {
    every: 5000,
    ask: async (signal) => {
      const began = performance.now();
      const [report, ready] = await Promise.all([get("/health", {}, signal), get("/health/ready", {}, signal).catch((problem) => ({ status: "not ready", error: problem.message }))]);
      return { report, ready, took: performance.now() - began };
    },
  });
  const counted = useApi("/metrics", {}, { every: 15_000, ask: async (signal) => metrics(await get("/metrics", {}, signal)) });
  return html`<${Page} title="System" at=${health.at}>
    <${Loaded} of=${health}>${({ report, ready, took }) => html`
      <div class="grid2"><${Part} title="Health"><div class="box"><${Facts} of=${[["as a whole", html`<${State} state=${report.status === "healthy" ? "completed" : report.status === "degraded" ? "retryable" : "dead"} word=${report.status} />`],
          ...Object.entries(report.services).map(([name, is]) => [name, html`<${State} state=${(UP[is] ?? UP.down)[0]} word=${(UP[is] ?? ["", String(is)])[1]} />`]),
          ["schedules", report.schedules_late_seconds > 0 ? `${duration(Number(report.schedules_late_seconds) * 1000)} late` : "on time"], ["the server's clock", html`<span title=${absolute(report.timestamp)}><${When} at=${report.timestamp} /></span>`]]} /></div><//>
      <${Part} title="This process"><div class="box"><${Facts} of=${[["ready", ready.status], ["error", ready.error], ["warning", ready.warning], ["answers in", duration(took)]]} /></div><//></div>`}<//>
    <${Part} title="Counters of this process"><${Loaded} of=${counted}>${(rows) => html`<div class="scroll"><table><thead><tr><th scope="col">metric</th><th scope="col" class="num">value</th></tr></thead><tbody>${rows.map(([name, value]) => html`<tr><td><code>${name}</code></td><td class="num">${Number.isInteger(value) ? value.toLocaleString("en-US") : value.toPrecision(6)}</td></tr>`)}</tbody></table></div>`}<//><//>
    <p class="muted">Table sizes, dead rows and indexes: <code>jobctl tables</code>. Settings, schema and the wake-up probe: <code>jobctl doctor</code>.</p>
  <//>`;
}
