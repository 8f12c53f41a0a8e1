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
      const [dead, schedules, backups, quarantine, outbox, pauses] = await Promise.all([
        or404(countJobs({ states: ["dead"] }), { jobs: 0, at_least: false }),
        or404(get("/v1/schedules", {}, signal), { schedules: [] }),
        or404(get("/v1/backups", {}, signal), null),
        or404(get("/v1/quarantine", { limit: 100 }, signal), { messages: [], next: null }),
        or404(get("/v1/outbox", { state: "unknown", limit: 100 }, signal), { parts: [], next: null }),
        or404(get("/v1/pauses", {}, signal), { pauses: [] }),
      ]);
      return { dead, schedules: schedules.schedules, backups: backups?.targets ?? null, quarantine, outbox, pauses: pauses.pauses };
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
  const late = data.schedules.filter(isLate).length;
  const backups = (data.backups ?? []).filter((target) => target.late).length;
  return {
    "/errors": data.dead.jobs ? `${data.dead.jobs >= 1000 ? `${Math.floor(data.dead.jobs / 1000)}k` : data.dead.jobs}${data.dead.at_least ? "+" : ""}` : "",
    "/schedules": late || "",
    "/backups": backups || "",
    "/quarantine": upTo(data.quarantine.messages, data.quarantine.next),
    "/outbox": upTo(data.outbox.parts, data.outbox.next),
  };
}
