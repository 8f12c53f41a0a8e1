// What came in, was done and failed, per minute or longer, as the workers have counted it.
import { useApi } from "./live.js";
import { get } from "./api.js";

/** How far back, in how long steps (seconds), and what a step is called. */
export const RANGES = {
  "15m": { seconds: 900, step: 60, unit: "minute" },
  "1h": { seconds: 3600, step: 60, unit: "minute" },
  "6h": { seconds: 21_600, step: 300, unit: "5 minutes" },
  "1d": { seconds: 86_400, step: 900, unit: "15 minutes" },
  "7d": { seconds: 604_800, step: 7200, unit: "2 hours" },
  "30d": { seconds: 2_592_000, step: 28_800, unit: "8 hours" },
};
const MEASURES = ["enqueued", "completed", "failed", "dead", "cancelled"];

const empty = (at, buckets) => ({ at, enqueued: 0, completed: 0, failed: 0, dead: 0, cancelled: 0, waits: Array(buckets).fill(0) });
const add = (to, from) => {
  for (const key of MEASURES) to[key] += from[key];
  from.waits.forEach((n, i) => { to.waits[i] += n; });
};

/** The answer as whole series: a step in which nothing happened is a step too. */
function filled(answer, { seconds, step }) {
  const bounds = answer.wait_bounds_ms;
  const last = Math.floor(Date.parse(answer.as_of) / 1000 / step) * step;
  const starts = Array.from({ length: Math.ceil(seconds / step) }, (_, i) => last - (Math.ceil(seconds / step) - 1 - i) * step);
  const series = () => new Map(starts.map((at) => [at, empty(new Date(at * 1000).toISOString(), bounds.length + 1)]));
  const whole = series();
  const queues = {};
  for (const point of answer.points) {
    const at = Date.parse(point.at) / 1000;
    if (!whole.has(at)) continue;
    queues[point.queue] ??= series();
    add(whole.get(at), point);
    add(queues[point.queue].get(at), point);
  }
  const summed = (points) => points.reduce((sum, point) => { add(sum, point); return sum; }, empty("", bounds.length + 1));
  const told = (map) => { const points = [...map.values()]; return { ...summed(points), points, bounds }; };
  return { ...told(whole), queues: Object.fromEntries(Object.entries(queues).map(([name, map]) => [name, told(map)])) };
}

export function useStats(range, every) {
  const of = RANGES[range];
  return useApi(`stats ${range}`, {}, {
    every,
    ask: async (signal) => filled(await get("/v1/stats", { range: of.seconds, step: of.step }, signal), of),
  });
}

/** The wait that so many of the jobs did not exceed, in ms; null if nothing ran. */
export function quantile({ waits, bounds }, part) {
  const all = waits.reduce((sum, n) => sum + n, 0);
  if (all === 0) return null;
  let seen = 0;
  for (let i = 0; i < waits.length; i += 1) {
    seen += waits[i];
    if (seen >= all * part) return bounds[Math.min(i, bounds.length - 1)];
  }
  return bounds.at(-1);
}

/** The last five minutes, and how many died within the hour. */
export function recent(hour) {
  const last = hour.points.slice(-6);
  return { completed: last.reduce((n, p) => n + p.completed, 0), failed: last.reduce((n, p) => n + p.failed, 0), deadHour: hour.dead };
}
