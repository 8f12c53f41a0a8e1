// What needs a person: the counts beside the pages.
import { useEffect } from "./ui.js";
import { signal } from "./signal.js";
import { useApi } from "./live.js";
import { get, post } from "./api.js";

const SLOW = { every: 15_000 };

/** How many jobs match, counted up to a bound. */
export const countJobs = (filter) => post("/v1/jobs/bulk/preview", { filter });

/** What part of the product is not there is not counted. */
async function or404(asked, otherwise) {
  try {
    return await asked;
  } catch (problem) {
    if (problem.status === 404 || problem.status === 403) return otherwise;
    throw problem;
  }
}

/** The last answer, for whoever else looks at it: the frame asks, once for all. */
export const standing = signal({ data: undefined, problem: null });

/** Everything that the overview's verdict and the rail look at and that changes slowly. */
function useStanding() {
  return useApi("standing", {}, {
    ...SLOW,
    ask: async (signal) => {
      // One after the other: together they would keep what somebody came to see waiting.
      const dead = await or404(countJobs({ states: ["dead"] }), { jobs: 0, at_least: false });
      const errors = dead.jobs ? await or404(get("/v1/errors", {}, signal), { groups: [] }) : { groups: [] };
      const schedules = await or404(get("/v1/schedules", {}, signal), { schedules: [] });
      const backups = await or404(get("/v1/backups", {}, signal), null);
      const quarantine = await or404(get("/v1/quarantine", { limit: 100 }, signal), { messages: [], next: null });
      const outbox = await or404(get("/v1/outbox", { state: "unknown", limit: 100 }, signal), { parts: [], next: null });
      const pauses = await or404(get("/v1/pauses", {}, signal), { pauses: [] });
      const muted = errors.groups.reduce((sum, group) => sum + (group.muted ? group.dead : 0), 0);
      return { dead, unmuted: { ...dead, jobs: Math.max(0, dead.jobs - muted) }, schedules: schedules.schedules, backups: backups?.targets ?? null, quarantine, outbox, pauses: pauses.pauses };
    },
  });
}

export const isLate = (schedule) => schedule.status === "active" && schedule.late_ms > 60_000;
const upTo = (list, next) => (list.length ? `${list.length}${next ? "+" : ""}` : "");

/** By the address of the page. */
export function useAttention() {
  const asked = useStanding();
  const { data, problem } = asked;
  useEffect(() => standing.set(asked), [data, problem]);
  if (!data) return {};
  const { unmuted } = data;
  const late = data.schedules.filter(isLate).length;
  const backups = (data.backups ?? []).filter((target) => target.late).length;
  return {
    "/errors": unmuted.jobs ? `${unmuted.jobs >= 1000 ? `${Math.floor(unmuted.jobs / 1000)}k` : unmuted.jobs}${unmuted.at_least ? "+" : ""}` : "",
    "/schedules": late || "",
    "/backups": backups || "",
    "/quarantine": upTo(data.quarantine.messages, data.quarantine.next),
    "/outbox": upTo(data.outbox.parts, data.outbox.next),
  };
}
