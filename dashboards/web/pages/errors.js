// What fails, grouped by what it says.
import { html } from "../lib/ui.js";
import { needs, seesAll } from "../lib/may.js";
import { Link, usePlace, withQuery } from "../lib/router.js";
import { useApi } from "../lib/live.js";
import { count, plural } from "../lib/format.js";
import { operateAll } from "../lib/operate.js";
import { mute, unmute } from "../lib/muting.js";
import { Empty, Loaded, Page, When } from "../parts/page.js";
import { State } from "../parts/icons.js";
import { Spark } from "../parts/charts.js";
import { Filters } from "../parts/filters.js";

const jobsOf = (group, kind) => group.jobs.map((id) => ({ id, kind }));

function Group({ group }) {
  const [first] = group.kinds;
  const { muted } = group;
  return html`<li class=${`group ${muted ? "muted" : ""}`}><div>
    <p><${Link} to=${`/jobs/${group.jobs[0]}`} class="row">${group.message}<//></p>
    <small><span class="nowrap">${group.dead > 0 && html`<${State} state="dead" word=${`${count(group.dead)} dead`} /> `}${group.retryable > 0 && html`<${State} state="retryable" word=${`${count(group.retryable)} to retry`} />`}</span>
      <span>last <${When} at=${group.last_at} /></span><span>first <${When} at=${group.first_at} /></span>
      <span>${group.kinds.slice(0, 4).map((kind, i) => html`${i ? ", " : ""}<${Link} to=${withQuery({ kind })}>${kind}<//>`)}</span>
      ${group.tenants.length > 0 && html`<span>${plural(group.tenants.length, "tenant")}: ${group.tenants.slice(0, 4).map((tenant, i) => html`${i ? ", " : ""}<${Link} to=${withQuery({ tenant })}>${tenant}<//>`)}${group.tenants.length > 4 ? " …" : ""}</span>`}</small>
    ${muted && html`<small><span class="tag">muted</span><span>by ${muted.by}${muted.until && html`, ends <${When} at=${muted.until} />`}${muted.reason && `: ${muted.reason}`}</span></small>`}</div>
    <div class="chips"><${Spark} values=${group.per_hour} label=${`Over the last day: ${group.per_hour.join(", ")}`} />
      <button onClick=${() => operateAll("requeue", jobsOf(group, first))} ...${needs("operator")}>Requeue ${count(group.jobs.length)}</button>
      ${group.retryable > 0 && html`<button class="danger" onClick=${() => operateAll("discard", jobsOf(group, first))} ...${needs("operator")}>Discard</button>`}
      ${seesAll() && (muted ? html`<button onClick=${() => unmute(group)} ...${needs("operator")}>Unmute</button>` : html`<button onClick=${() => mute(group)} ...${needs("operator")}>Mute…</button>`)}</div></li>`;
}

export function Errors() {
  const { query } = usePlace();
  const asked = useApi("/v1/errors", { kind: query.kind, tenant: query.tenant }, { every: 5000 });
  return html`<${Page} title="Errors" at=${asked.at} lead="Jobs that are dead or wait for another attempt, grouped by what their last error says.">
    <${Filters} names=${["kind", "tenant"]} />
    <${Loaded} of=${asked}>${({ groups, sampled, at_least }) => html`
      ${at_least && html`<p class="notice">These are the newest ${count(sampled)}; there are more. <${Link} to="/jobs?state=dead">All dead jobs<//></p>`}
      ${groups.length === 0 ? html`<${Empty} title="Nothing fails">Jobs whose attempts fail come here, grouped by their error; those that used all their attempts are dead and wait for a decision.<//>`
        : html`<ul>${groups.map((group) => html`<${Group} key=${group.fingerprint} group=${group} />`)}</ul>`}`}<//>
  <//>`;
}
