// What is rare among millions is not found at once: the API says how far back it looked, and where it goes on.
import { useEffect } from "./ui.js";
import { go, withQuery } from "./router.js";

/** How far back a search came that goes on there: a job's id begins with the time it was enqueued at. */
export const reached = (next) => new Date(Number.parseInt(next.slice(0, 12), 16)).toISOString();

/** Goes on by itself for as long as nothing was found. */
export function useSearching(page) {
  useEffect(() => {
    if (page?.next && page.jobs.length === 0) go(withQuery({ after: page.next }), { replace: true });
  }, [page]);
}
