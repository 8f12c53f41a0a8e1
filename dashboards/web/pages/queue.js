// One queue: its numbers, its slots, its limits.
import { html, useState } from "../lib/ui.js";
import { needs } from "../lib/may.js";
import { Link, href } from "../lib/router.js";
import { useApi } from "../lib/live.js";
import { del, get, part, put } from "../lib/api.js";
import { count, duration, plural, since } from "../lib/format.js";
import { parse, pretty } from "../lib/json.js";
import { pause, resume } from "../lib/pausing.js";
import { useStats } from "../lib/stats.js";
import { Facts, Loaded, Page, Part } from "../parts/page.js";
import { Throughput } from "../parts/charts.js";
import { Json } from "../parts/json.js";
import { act, ask } from "../parts/dialog.js";
import { eta, pauseOf, useQueues } from "./queues.js";

function Slots({ name }) {
  const [slots, setSlots] = useState("");
  const step = (by) => setSlots(String(Math.max(1, (Number(slots) || 0) + by)));
  const save = async () => {
    const n = Number(slots);
    if (!(n >= 1 && n <= 100_000)) return;
    const answer = await ask({ title: `${plural(n, "slot")} for ${name}?`, text: "Each process then runs so many of its jobs at once, whatever it was started with, within a second.", verb: "Set it", reason: true });
    if (answer) await act(() => put(`/v1/queues/${part(name)}/slots`, { slots: n, reason: answer.reason || undefined }), "It is set.");
  };
  return html`<${Part} title="Slots" actions=${html`<button class="small" onClick=${() => act(() => del(`/v1/queues/${part(name)}/slots`), "Each process has the slots again that it was started with.")} ...${needs("admin")}>As started</button>`}>
    <p class="muted">How many of its jobs each process runs at once.</p>
    <div class="chips"><span class="number"><button type="button" aria-label="Fewer" onClick=${() => step(-1)} ...${needs("admin")}>−</button><input inputmode="numeric" aria-label="Slots per process" placeholder="as started" value=${slots} onInput=${(event) => setSlots(event.target.value.replace(/\D/g, ""))} /><button type="button" aria-label="More" onClick=${() => step(1)} ...${needs("admin")}>+</button></span>
      <button disabled=${!slots} onClick=${save} ...${needs("admin")}>Set…</button></div><//>`;
}

async function editPolicy(name, policy) {
  const answer = await ask({
    title: `Limits of ${name}`, verb: "Set them", wide: true,
    fields: [{ name: "policy", label: "Policy", rows: 12, value: pretty(policy?.policy ?? { concurrency: 10 }), required: true, hint: "As docs/guides/limits.md has it: concurrency, rates, kinds, keys, fairness.",
      check: (text) => { try { parse(text); return ""; } catch (error) { return `The policy is no JSON: ${error.message}.`; } } }],
  });
  if (answer) await act(() => put(`/v1/queues/${part(name)}/policy`, answer.policy), "It holds within a second, in every process.");
}

export function Queue({ name }) {
  const asked = useQueues();
  const hour = useStats("1h", 10_000);
  const policy = useApi(`policy ${name}`, {}, { every: 15_000, ask: (signal) => get(`/v1/queues/${part(name)}/policy`, {}, signal).catch((problem) => { if (problem.status === 404) return null; throw problem; }) });
  const q = asked.data?.queues.find((queue) => queue.queue === name) ?? { queue: name, available: 0, running: 0, retryable: 0, scheduled: 0, waiting: 0 };
  const held = asked.data && pauseOf(asked.data.pauses, name);
  const series = hour.data?.queues[name];
  const left = eta(q, series);
  const to = (state, n) => html`<${Link} to=${href("/jobs", { queue: name, state })}>${count(n)}<//>`;
  return html`<${Page} title=${name} name=${`${name} queue`} at=${asked.at} actions=${held ? html`<button onClick=${() => resume(held)} ...${needs("operator")}>Resume</button>` : html`<button onClick=${() => pause({ queue: name })} ...${needs("operator")}>Pause</button>`}>
    <${Loaded} of=${asked}>${({ workers }) => html`
      ${held && html`<div class="notice warn"><span class="grow">Paused by ${held.by}${held.reason ? `: ${held.reason}` : ""}. ${held.until ? "It ends by itself." : "It has no end."}</span></div>`}
      <div class="grid2"><div class="box"><${Facts} of=${[["due", html`${q.capped ? "at least " : ""}${to("available", q.available)}${q.oldest_available_at ? `, oldest ${duration(since(q.oldest_available_at))}` : ""}`], ["running", to("running", q.running)], ["to retry", to("retryable", q.retryable)], ["scheduled", to("scheduled", q.scheduled)], ["waiting", to("waiting", q.waiting)], ["gone in", left === null ? null : left === Infinity ? "never, as it is: more comes in than is done" : `about ${duration(left)}`]]} /></div>
        <div class="box"><${Facts} of=${[["workers", plural(workers.filter((w) => w.queues.includes(name)).length, "process", "processes")], ["done, last hour", series && count(series.completed)], ["failed, last hour", series && count(series.failed)]]} /></div></div>
      ${series && html`<${Part} title="Last hour"><${Throughput} points=${series.points} unit="minute" /><//>`}
      <${Slots} name=${name} />
      <${Loaded} of=${policy}>${(data) => html`<${Json} title="Limits" value=${data?.policy} none="None of its own." actions=${html`<button class="small" onClick=${() => editPolicy(name, data)} ...${needs("admin")}>Edit…</button>`} />`}<//>`}<//>
  <//>`;
}
