// Is all well? The rules, worst first. docs/guides/dashboard.md tells them in the same order.
import { ago, count, duration, percent, plural, since } from "./format.js";
import { isLate } from "./attention.js";

/** Work that is due waits no longer than this. */
const LONGEST_WAIT = 60_000;
/** So many of the last five minutes' attempts may fail, if there were at least `FEW`. */
const MOST_FAILED = 0.05;
const FEW = 20;
const SILENT = 45_000;

const live = (workers) => workers.filter((worker) => since(worker.beat_at) < SILENT);
const isPausedQueue = (pauses, queue) => pauses.some((pause) => pause.queue === queue && !pause.kind && !pause.tenant_id);

/**
 * @returns {{ is: "healthy"|"degraded"|"failing"|"unknown", text: string, to?: string }}
 */
export function verdict({ health, queues, workers, standing, recent }) {
  if (!queues || !workers) return { is: "unknown", text: "Looking…" };
  const due = queues.reduce((sum, queue) => sum + queue.available, 0);
  if (health?.services.database === "down") return { is: "failing", text: "The database cannot be reached.", to: "/system" };
  if (due > 0 && live(workers).length === 0) return { is: "failing", text: `No worker is running, and ${plural(due, "job")} ${due === 1 ? "is" : "are"} due.`, to: "/workers" };
  const late = queues
    .filter((queue) => queue.oldest_available_at && since(queue.oldest_available_at) > LONGEST_WAIT && !isPausedQueue(standing?.pauses ?? [], queue.queue))
    .sort((a, b) => Date.parse(a.oldest_available_at) - Date.parse(b.oldest_available_at))[0];
  if (late) return { is: "degraded", text: `${late.queue} is behind: ${plural(late.available, "job")} waiting, the oldest for ${duration(since(late.oldest_available_at))}.`, to: "/queues" };
  const attempts = recent ? recent.completed + recent.failed : 0;
  if (attempts >= FEW && recent.failed / attempts > MOST_FAILED) return { is: "degraded", text: `${percent(recent.failed / attempts)} of attempts failed in the last 5 minutes.`, to: "/errors" };
  if (recent?.deadHour > 0) return { is: "degraded", text: `${plural(recent.deadHour, "job")} died in the last hour.`, to: "/errors" };
  for (const service of ["rabbitmq", "redis"]) {
    if (health?.services[service] === "down") return { is: "degraded", text: `${service} cannot be reached; work that needs it waits.`, to: "/system" };
  }
  const schedule = standing?.schedules.find(isLate);
  if (schedule) return { is: "degraded", text: `The schedule ${schedule.name} is ${duration(schedule.late_ms)} late.`, to: `/schedules/${encodeURIComponent(schedule.name)}` };
  const backup = standing?.backups?.find((target) => target.late);
  if (backup) return { is: "degraded", text: backup.last_success_at ? `The last backup of ${backup.target} was ${ago(backup.last_success_at)}.` : `${backup.target} has no backup yet.`, to: "/backups" };
  return { is: "healthy", text: quiet(queues, recent) };
}

function quiet(queues, recent) {
  const oldest = queues.map((queue) => queue.oldest_available_at).filter(Boolean).sort()[0];
  const rate = recent ? `${count(Math.round(recent.completed / 5))} jobs/min, ` : "";
  return oldest && since(oldest) > 1000 ? `${rate}${rate ? "n" : "N"}othing waits longer than ${duration(Math.ceil(since(oldest) / 1000) * 1000)}.` : `${rate}${rate ? "n" : "N"}othing waits.`;
}

/** What needs a person, one line each. */
export function attention({ standing, workers, paused }) {
  if (!standing) return [];
  const { unmuted: dead, schedules, backups, quarantine, outbox, pauses } = standing;
  const atLeast = (list, next) => `${list.length}${next ? "+" : ""}`;
  const versions = new Set((workers ?? []).map((worker) => worker.version));
  return [
    dead.jobs && [`${dead.at_least ? "at least " : ""}${plural(dead.jobs, "dead job")}`, "/errors"],
    quarantine.messages.length && [`${atLeast(quarantine.messages, quarantine.next)} broken ${quarantine.messages.length === 1 ? "message" : "messages"} in quarantine`, "/quarantine"],
    outbox.parts.length && [`${atLeast(outbox.parts, outbox.next)} ${outbox.parts.length === 1 ? "message" : "messages"} that may or may not have been sent`, "/outbox"],
    ...schedules.filter((s) => s.status === "paused").map((s) => [`schedule ${s.name} paused ${ago(s.paused_at)}${s.paused_note ? `: ${s.paused_note}` : ""}`, `/schedules/${encodeURIComponent(s.name)}`]),
    ...schedules.filter(isLate).map((s) => [`schedule ${s.name} is ${duration(s.late_ms)} late`, `/schedules/${encodeURIComponent(s.name)}`]),
    ...pauses.map((p) => [`${[p.queue && `queue ${p.queue}`, p.kind, p.tenant_id && `tenant ${p.tenant_id}`].filter(Boolean).join(", ")} paused by ${p.by}, ${p.until ? `ends ${ago(p.until)}` : "without an end"}${p.reason ? `: ${p.reason}` : ""}`, "/queues"]),
    ...(backups ?? []).filter((b) => b.late || b.unverified).map((b) => [`backup ${b.target}: ${b.late ? "late" : "never proven by a restore"}`, "/backups"]),
    versions.size > 1 && [`workers of ${versions.size} versions: ${[...versions].join(", ")}`, "/workers"],
    paused && ["this page is paused: what it shows is not now", "/"],
  ].filter(Boolean);
}
