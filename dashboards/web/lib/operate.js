// What can be done to jobs, one or many.
import { html } from "./ui.js";
import { part, post } from "./api.js";
import { countJobs } from "./attention.js";
import { count, plural } from "./format.js";
import { act, ask, tell, unlessUndone } from "../parts/dialog.js";
import { follow } from "../parts/work.js";
import { Link } from "./router.js";

/** Operation: its verb, its past, the states it makes sense for. */
export const OPERATIONS = {
  requeue: { verb: "Requeue", done: "requeued", key: "r", from: ["dead", "cancelled", "completed", "retryable", "scheduled"] },
  cancel: { verb: "Cancel", done: "cancelled", key: "c", danger: true, from: ["available", "scheduled", "retryable", "waiting", "running"] },
  discard: { verb: "Discard", done: "discarded", key: "e", danger: true, from: ["available", "scheduled", "retryable", "waiting"] },
};
const AT_ONCE = 4;

/** One job. What can be undone is not asked about. */
export async function operate(name, job) {
  const { verb, done, danger } = OPERATIONS[name];
  let reason;
  if (danger) {
    const answer = await ask({ title: `${verb} this job?`, text: html`<code>${job.kind} ${job.id}</code>`, verb: `${verb} it`, danger: true, reason: true });
    if (!answer) return;
    reason = answer.reason;
  }
  await act(() => post(`/v1/jobs/${part(job.id)}/${name}`, undefined, { reason }), (answer) => (answer?.status === "asked" ? "It runs: it was asked to stop." : `The job is ${done}.`));
}

/** Those that were picked, one by one; says how many of them would not. */
export async function operateAll(name, jobs) {
  const { verb, done, danger } = OPERATIONS[name];
  const answer = await ask({ title: `${verb} ${plural(jobs.length, "job")}?`, verb: `${verb} ${count(jobs.length)}`, danger, rows: jobs.length, reason: true });
  if (!answer || (jobs.length > 1 && !(await unlessUndone(`${verb} ${plural(jobs.length, "job")}`)))) return false;
  const waiting = [...jobs];
  const refused = [];
  const one = async () => {
    for (let job = waiting.shift(); job; job = waiting.shift()) {
      try { await post(`/v1/jobs/${part(job.id)}/${name}`, undefined, { reason: answer.reason }); } catch (problem) { refused.push(problem.message); }
    }
  };
  await act(() => Promise.all(Array.from({ length: AT_ONCE }, one)), `${plural(jobs.length - refused.length, "job")} ${done}${refused.length ? `; ${refused.length} not: ${refused[0]}` : "."}`);
  return true;
}

/** Every job that matches, in the background. Shows first how many there are. */
export async function operateMatching(name, filter) {
  const { verb, danger } = OPERATIONS[name];
  let matching;
  try { matching = await countJobs(filter); } catch (problem) { tell(problem.message, { kind: "bad" }); return; }
  if (matching.jobs === 0) { tell("No job matches any more."); return; }
  const rows = `${matching.at_least ? "at least " : ""}${plural(matching.jobs, "job")}`;
  const told = Object.entries(filter).filter(([, value]) => value && value.length).map(([key, value]) => html`<li><span class="muted">${key.replace("_id", "").replace("states", "state")}</span> <code>${[value].flat().join(", ")}</code></li>`);
  const answer = await ask({
    title: `${verb} ${rows}?`, verb: `${verb} them`, danger, rows: matching.jobs, reason: true,
    text: html`<p>Every job that matches when it is its turn, in the background; it can be stopped.</p><ul class="chips">${told.length ? told : html`<li>every job there is</li>`}</ul>`,
  });
  if (!answer || !(await unlessUndone(`${verb} ${rows}`))) return;
  const started = await act(() => post("/v1/jobs/bulk", { operation: name, filter, all: told.length === 0, reason: answer.reason || undefined }), (bulk) => ({ text: "It has begun.", link: html`<${Link} to=${`/jobs/${bulk.id}`}>Show<//>` }));
  if (started) follow(started.id, `${verb} ${rows}`, matching.jobs);
}
