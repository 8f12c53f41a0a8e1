// What everything stands on: health, versions, and this page's own numbers.
import { html } from "../lib/ui.js";
import { useApi } from "../lib/live.js";
import { get } from "../lib/api.js";
import { absolute, bytes, count, duration, plural } from "../lib/format.js";
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

const ADVICE = { vacuum: "vacuum falls behind", freeze: "freeze it", invalid: "invalid: make it anew", leftover: "left over: drop it", bloated: "mostly air: make it anew" };
const Advice = ({ of }) => (of.length ? html`<${State} state="retryable" word=${of.map((word) => ADVICE[word] ?? word).join(", ")} />` : html`<span class="muted">well</span>`);

function Database({ system }) {
  const { schema, tables, indexes } = system;
  const is = schema.missing.length ? html`<${State} state="dead" word=${`lacks ${schema.missing.join(", ")}: run jobctl migrate`} />`
    : schema.found > schema.needed ? `version ${schema.found}, newer than this program's ${schema.needed}, which works on it` : `version ${schema.found}`;
  return html`<${Part} title="Database"><div class="box"><${Facts} of=${[
      ["store", system.store], ["tells the time in", duration(system.answered_in_ms)], ["schema", is],
      ["wake-ups", system.wakes_every_process ? "reach every process; polling makes them certain" : "reach one process; others see new jobs at their next poll"],
      ["oldest transaction", system.oldest_transaction_ms === null ? null : duration(system.oldest_transaction_ms)],
      ["in all", tables.length > 0 && `${bytes([...tables, ...indexes].reduce((sum, each) => sum + each.bytes, 0))} in ${plural(tables.length, "table")} and ${plural(indexes.length, "index", "indexes")}`],
    ]} /></div><//>
    ${tables.length > 0 && html`<${Part} title="Tables"><div class="scroll"><table><thead><tr><th scope="col">table</th><th scope="col" class="num">size</th><th scope="col" class="num">rows</th><th scope="col" class="num">dead rows</th><th scope="col">is</th></tr></thead>
      <tbody>${tables.map((table) => html`<tr><td><code>${table.name}</code></td><td class="num">${bytes(table.bytes)}</td><td class="num">${count(table.live_rows)}</td><td class="num" title=${`Vacuum begins at ${count(table.vacuum_from)}`}>${count(table.dead_rows)}</td><td><${Advice} of=${table.advice} /></td></tr>`)}</tbody></table></div><//>
    <${Part} title="Indexes"><div class="scroll"><table><thead><tr><th scope="col">index</th><th scope="col" class="hide-phone">of</th><th scope="col" class="num">size</th><th scope="col" class="num">air</th><th scope="col">is</th></tr></thead>
      <tbody>${indexes.map((index) => html`<tr><td><code>${index.name}</code></td><td class="hide-phone"><code>${index.table}</code></td><td class="num">${bytes(index.bytes)}</td><td class="num">${index.bloat === null ? "–" : `${Math.round(index.bloat * 100)} %`}</td><td><${Advice} of=${index.advice} /></td></tr>`)}</tbody></table></div><//>`}`;
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
  const system = useApi("/v1/system", {}, { every: 10_000 });
  const counted = useApi("/metrics", {}, { every: 15_000, ask: async (signal) => metrics(await get("/metrics", {}, signal)) });
  return html`<${Page} title="System" at=${health.at}>
    <${Loaded} of=${health}>${({ report, ready, took }) => html`
      <div class="grid2"><${Part} title="Health"><div class="box"><${Facts} of=${[["as a whole", html`<${State} state=${report.status === "healthy" ? "completed" : report.status === "degraded" ? "retryable" : "dead"} word=${report.status} />`],
          ...Object.entries(report.services).map(([name, is]) => [name, html`<${State} state=${(UP[is] ?? UP.down)[0]} word=${(UP[is] ?? ["", String(is)])[1]} />`]),
          ["schedules", report.schedules_late_seconds > 0 ? `${duration(Number(report.schedules_late_seconds) * 1000)} late` : "on time"], ["the server's clock", html`<span title=${absolute(report.timestamp)}><${When} at=${report.timestamp} /></span>`]]} /></div><//>
      <${Part} title="This process"><div class="box"><${Facts} of=${[["ready", ready.status], ["error", ready.error], ["warning", ready.warning], ["answers in", duration(took)]]} /></div><//></div>`}<//>
    <${Loaded} of=${system}>${(data) => html`<${Database} system=${data} />`}<//>
    <${Part} title="Counters of this process"><${Loaded} of=${counted}>${(rows) => html`<div class="scroll"><table><thead><tr><th scope="col">metric</th><th scope="col" class="num">value</th></tr></thead><tbody>${rows.map(([name, value]) => html`<tr><td><code>${name}</code></td><td class="num">${Number.isInteger(value) ? value.toLocaleString("en-US") : value.toPrecision(6)}</td></tr>`)}</tbody></table></div>`}<//><//>
    <p class="muted">The same in a terminal: <code>jobctl tables</code>. Settings: <code>jobctl doctor</code>. What wants a vacuum or an index anew: <code>docs/operations/upkeep.md</code>.</p>
  <//>`;
}
