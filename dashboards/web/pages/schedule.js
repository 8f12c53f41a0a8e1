// One schedule: its next and its last fires; pause, run now, make up for a range.
import { html } from "../lib/ui.js";
import { needs } from "../lib/may.js";
import { Link, href } from "../lib/router.js";
import { useApi } from "../lib/live.js";
import { part, post } from "../lib/api.js";
import { backfill } from "../lib/backfill.js";
import { ago, duration } from "../lib/format.js";
import { Facts, Loaded, Page, Part, When } from "../parts/page.js";
import { State } from "../parts/icons.js";
import { act, ask } from "../parts/dialog.js";
import { Ticks, tickState } from "./schedules.js";

const at = (name, verb) => `/v1/schedules/${part(name)}/${verb}`;

async function pause(name) {
  const answer = await ask({ title: `Pause ${name}?`, text: "No tick of it fires until it is resumed; what was missed then follows its catch-up policy.", verb: "Pause", fields: [{ name: "note", label: "Why", required: true, hint: "Shown to everyone who looks here, and kept in the audit log." }] });
  if (answer) await act(() => post(at(name, "pause"), { note: answer.note }), "It is paused.");
}

async function runNow(name) {
  const answer = await ask({ title: `Run ${name} now?`, text: "Beside its times, which stay as they are.", verb: "Run now", reason: true });
  if (answer) await act(() => post(at(name, "run"), { reason: answer.reason || undefined }), (run) => ({ text: "It runs.", link: html`<${Link} to=${`/jobs/${run.job_id}`}>Show<//>` }));
}

export function Schedule({ name }) {
  const asked = useApi(`/v1/schedules/${part(name)}`, {}, { every: 4000 });
  const { data: s } = asked;
  const resume = () => act(() => post(at(name, "resume"), {}), "It goes on.");
  const actions = s && html`<button class="primary" onClick=${() => runNow(name)} ...${needs("operator")}>Run now…</button><button onClick=${() => backfill(name)} ...${needs("operator")}>Make up…</button>
    ${s.status === "paused" ? html`<button onClick=${resume} ...${needs("operator")}>Resume</button>` : s.status === "active" && html`<button onClick=${() => pause(name)} ...${needs("operator")}>Pause…</button>`}`;
  return html`<${Page} title=${name} name=${`${name} schedule`} at=${asked.at} actions=${actions}>
    <${Loaded} of=${asked}>${() => html`
      ${s.status === "paused" && html`<div class="notice warn"><span class="grow">Paused ${ago(s.paused_at)}${s.paused_note ? `: ${s.paused_note}` : ""}</span></div>`}
      ${s.late_ms > 60_000 && html`<div class="notice bad"><span class="grow">Its next tick has been due for ${duration(s.late_ms)}. Does a scheduler run?</span><${Link} to="/workers">Workers<//></div>`}
      <div class="grid2"><div class="box"><${Facts} of=${[["when", html`${s.description ?? ""} <code>${s.cron}</code>`], ["zone", s.zone], ["job", html`<${Link} to=${href("/jobs", { kind: s.kind })}>${s.kind}<//>`], ["queue", s.queue], ["tenant", s.tenant_id], ["priority", s.priority]]} /></div>
        <div class="box"><${Facts} of=${[["status", s.status], ["missed ticks", `${s.catch_up.replaceAll("_", " ")}${s.catch_up_within_ms ? `, not older than ${duration(s.catch_up_within_ms)}` : ""}`], ["while one runs", s.overlap.replaceAll("_", " ")], ["spread", s.jitter_ms ? `up to ${duration(s.jitter_ms)}` : null], ["decided until", html`<${When} at=${s.decided_until} />`]]} /></div></div>
      <div class="grid2"><${Part} title="Next">${s.next.length ? html`<table><tbody>${s.next.map((time) => html`<tr><td><code>${time}</code></td><td class="num"><${When} at=${time} /></td></tr>`)}</tbody></table>` : html`<p class="muted">None while it is ${s.status}.</p>`}<//>
      <${Part} title="Last 60" actions=${html`<${Ticks} ticks=${s.last} />`}>${s.last.length ? html`<table><tbody>${s.last.slice(0, 12).map((tick) => html`<tr><td><${State} state=${tickState(tick) === "skipped" ? "cancelled" : tickState(tick)} word=${tick.outcome === "fired" ? tickState(tick) : tick.outcome.replaceAll("_", " ")} /></td>
          <td><code>${tick.fire_at}</code></td><td class="muted">${tick.origin.replaceAll("_", " ")}</td><td class="num">${tick.job_id && html`<${Link} to=${`/jobs/${tick.job_id}`}>job<//>`}</td></tr>`)}</tbody></table>` : html`<p class="muted">It has not fired yet.</p>`}<//></div>`}<//>
  <//>`;
}
