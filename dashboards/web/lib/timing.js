// Another time for a job: one that is over runs again then, one that waits does so until then.
import { html } from "./ui.js";
import { part, post } from "./api.js";
import { absolute, ago } from "./format.js";
import { now } from "./live.js";
import { act, ask } from "../parts/dialog.js";

const HOUR = 3_600_000;

/** As a field for local times wants it. */
function local(at) {
  const date = new Date(at);
  return new Date(at - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

function wrong(text) {
  const at = Date.parse(text);
  if (Number.isNaN(at)) return "The time is not complete.";
  return at > now() ? "" : "The time has passed; choose a later one.";
}

const told = ({ at }) => html`<p class="muted">${Number.isNaN(Date.parse(at)) ? "–" : html`${absolute(at)}, ${ago(at)}`}</p>`;

/** @param {"requeue"|"snooze"} name */
export async function atATime(name, job) {
  const snooze = name === "snooze";
  const answer = await ask({
    title: snooze ? "Let this job wait?" : "Run this job again at a time?", verb: snooze ? "Snooze" : "Requeue", reason: true,
    text: html`<code>${job.kind} ${job.id}</code>`, aside: told,
    fields: [{ name: "at", label: snooze ? "Until" : "At", type: "datetime-local", value: local(now() + HOUR), required: true, check: wrong }],
  });
  if (!answer) return;
  const at = new Date(answer.at).toISOString();
  await act(() => post(`/v1/jobs/${part(job.id)}/${name}`, undefined, { run_at: at, reason: answer.reason }), `The job ${snooze ? "waits until" : "is due at"} ${absolute(at)}.`);
}
