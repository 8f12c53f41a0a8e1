// Backups: how old, how large, how well proven, and what to type when one is needed.
import { html } from "../lib/ui.js";
import { useApi } from "../lib/live.js";
import { bytes, clockTime, count, duration, since } from "../lib/format.js";
import { number } from "../lib/json.js";
import { Empty, Facts, Loaded, Page, Part, When } from "../parts/page.js";
import { Spark } from "../parts/charts.js";
import { State } from "../parts/icons.js";
import { copy } from "../parts/dialog.js";

const LEVELS = ["none", "read back", "listed", "restored", "queried", "answered"];

const commands = (target, id) => [
  ["See what a restore would do", `jobctl backup restore ${target} --to restored --plan`],
  ["Prove the newest one now", `jobctl backup verify ${target}`],
  ["List them", `jobctl backup list ${target}`],
  ...(id ? [["Show one", `jobctl backup show ${target} ${id}`]] : []),
];

function Target({ target }) {
  const { backups } = target;
  const newest = backups[0];
  const state = target.late ? "dead" : target.unverified ? "retryable" : "completed";
  const level = target.verify_level ?? 0;
  return html`<section class="box"><header class="title"><h2>${target.target}</h2><${State} state=${state} word=${target.late ? "late" : target.unverified ? "not proven" : "proven"} /><span class="muted">${target.kind}</span></header>
    <${Facts} of=${[["last backup", target.last_success_at ? html`<${When} at=${target.last_success_at} />` : "none yet"],
      ["recovery point", newest && `now ${duration(since(newest.recovery_point))} back`], ["last proven", target.last_verified_at ? html`<${When} at=${target.last_verified_at} />` : "never"],
      ["restore takes", target.restore_seconds != null && `about ${duration(number(target.restore_seconds) * 1000)}`],
      ["size", newest && html`${bytes(number(newest.bytes))}, ${bytes(number(newest.stored_bytes))} stored`], ["kept in", target.places.join(", ")]]} />
    ${backups.length > 1 && html`<${Spark} values=${backups.slice(0, 30).toReversed().map((b) => number(b.stored_bytes))} label=${`Sizes of the last ${Math.min(30, backups.length)} backups`} />`}
    <ol class="ladder" aria-label="How far it has been proven">${LEVELS.map((word, i) => html`<li data-on=${i <= level && target.last_verified_at ? "yes" : undefined} title=${word}>V${i}</li>`)}</ol>
    <details><summary>Commands</summary><ul>${commands(target.target, newest?.id).map(([what, command]) => html`<li class="command"><span class="muted">${what}</span><code class="grow">${command}</code><button class="small plain" aria-label=${`Copy: ${what}`} onClick=${() => copy(command, "The command")}>Copy</button></li>`)}</ul></details></section>`;
}

export function Backups() {
  const asked = useApi("/v1/backups", {}, { every: 10_000 });
  return html`<${Page} title="Backups" at=${asked.at}>
    <${Loaded} of=${asked}>${({ targets }) => (targets.length === 0 ? html`<${Empty} title="No backup is set up">Name a target in the settings, under <code>backups.targets</code>; each is then copied, kept and proven by schedules of its own.<//>` : html`
      <div class="grid2">${targets.map((target) => html`<${Target} key=${target.target} target=${target} />`)}</div>
      ${targets.filter((target) => target.backups.length > 0).map((target) => html`<${Part} title=${`${target.target}: ${count(target.backups.length)} kept`}><div class="scroll"><table><thead><tr><th scope="col">taken</th><th scope="col">id</th><th scope="col" class="num">took</th><th scope="col" class="num">size</th><th scope="col" class="num">stored</th><th scope="col">proven</th><th scope="col">notes</th></tr></thead>
        <tbody>${target.backups.slice(0, 40).map((b) => html`<tr key=${b.id}><td><${When} at=${b.finished_at} /> <span class="muted">${clockTime(b.finished_at)}</span></td><td><code>${b.id}</code></td><td class="num">${duration(Date.parse(b.finished_at) - Date.parse(b.started_at))}</td><td class="num">${bytes(number(b.bytes))}</td><td class="num">${bytes(number(b.stored_bytes))}</td>
          <td>${b.verify_level != null ? html`<${State} state="completed" word=${`V${b.verify_level} ${LEVELS[b.verify_level] ?? ""}`} />` : html`<span class="muted">not yet</span>`}</td><td class="muted">${[b.encrypted && "encrypted", b.pinned && "pinned", b.parent && "on another", ...b.flags].filter(Boolean).join(", ")}</td></tr>`)}</tbody></table></div><//>`)}`)}<//>
  <//>`;
}
