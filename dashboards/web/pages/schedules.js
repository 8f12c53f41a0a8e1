// What is done by the clock.
import { html } from "../lib/ui.js";
import { needs } from "../lib/may.js";
import { Link } from "../lib/router.js";
import { useApi } from "../lib/live.js";
import { absolute, count, duration } from "../lib/format.js";
import { isLate } from "../lib/attention.js";
import { backfill } from "../lib/backfill.js";
import { Empty, Loaded, Page, When } from "../parts/page.js";
import { State } from "../parts/icons.js";

const TONES = { active: "completed", paused: "waiting", disabled: "cancelled", retired: "cancelled" };

/** What became of a tick. */
export const tickState = (tick) => (tick.outcome === "fired" ? tick.state ?? "running" : "skipped");

/** The last ticks as bars, oldest first. */
export function Ticks({ ticks }) {
  const shown = ticks.slice(0, 60).toReversed();
  if (shown.length === 0) return html`<span class="muted">never fired</span>`;
  const bad = shown.filter((tick) => ["dead", "cancelled"].includes(tickState(tick))).length;
  const skipped = shown.filter((tick) => tickState(tick) === "skipped").length;
  return html`<span class="bars" role="img" aria-label=${`Of the last ${shown.length}: ${bad} failed, ${skipped} left out`}>${shown.map((tick) => html`<i data-state=${tickState(tick)} title=${`${absolute(tick.fire_at)}: ${tickState(tick)}`}></i>`)}</span>`;
}

export function Schedules() {
  const asked = useApi("/v1/schedules", {}, { every: 5000 });
  return html`<${Page} title="Schedules" at=${asked.at}>
    <${Loaded} of=${asked}>${({ schedules }) => (schedules.length === 0 ? html`<${Empty} title="No schedule">They are lines of src/jobs/schedules.rs; each is switched in the settings.<//>` : html`
      <div class="scroll"><table><thead><tr><th scope="col">schedule</th><th scope="col">when</th><th scope="col">status</th><th scope="col" class="num">next</th><th scope="col" class="num">last</th><th scope="col">last 60</th><th scope="col"><span class="sr">make up</span></th></tr></thead>
      <tbody>${schedules.map((s) => html`<tr key=${s.name}><td><${Link} class="row" to=${`/schedules/${encodeURIComponent(s.name)}`}>${s.name}<//></td>
        <td title=${`${s.cron} ${s.zone}`}>${s.description ?? html`<code>${s.cron}</code>`} <span class="muted">${s.zone}</span></td>
        <td><${State} state=${isLate(s) ? "retryable" : TONES[s.status]} word=${isLate(s) ? `${duration(s.late_ms)} late` : s.status} /></td>
        <td class="num">${s.next[0] ? html`<${When} at=${s.next[0]} />` : html`<span class="muted">–</span>`}</td><td class="num">${s.last[0] ? html`<${When} at=${s.last[0].fired_at} />` : html`<span class="muted">–</span>`}</td>
        <td><${Ticks} ticks=${s.last} /></td><td class="num"><button class="small" onClick=${() => backfill(s.name)} ...${needs("operator")}>Make up…</button></td></tr>`)}</tbody></table></div>
      <p class="asof">${count(schedules.length)} schedules</p>`)}<//>
  <//>`;
}
