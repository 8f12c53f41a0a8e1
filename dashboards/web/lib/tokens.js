// What is typed into the search of jobs: `state:dead kind:deliver_message tenant:acme`.

export const STATES = ["available", "running", "retryable", "scheduled", "waiting", "completed", "cancelled", "dead"];
/** Token, and what the API calls it. */
export const KEYS = { state: "state", kind: "kind", queue: "queue", tenant: "tenant", correlation: "correlation", tag: "tag" };
const TOKEN = /([a-z]+):("[^"]*"?|\S*)|(\S+)/gi;
const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** @returns {{ filter: Record<string, string>, id?: string, wrong?: string }} */
export function read(text) {
  const filter = {};
  for (const [, key, value, word] of text.matchAll(TOKEN)) {
    if (word !== undefined) {
      if (ID.test(word)) return { filter, id: word.toLowerCase() };
      return { filter, wrong: `“${word}” is no token. Use ${Object.keys(KEYS).map((k) => `${k}:`).join(" ")} or a job's id.` };
    }
    const plain = value.replaceAll('"', "");
    if (key === "id") return { filter, id: plain.toLowerCase() };
    if (!KEYS[key]) return { filter, wrong: `There is no “${key}:”. Use ${Object.keys(KEYS).map((k) => `${k}:`).join(" ")}` };
    if (plain) filter[KEYS[key]] = key === "state" && filter.state ? `${filter.state},${plain}` : plain;
  }
  const unknown = (filter.state ?? "").split(",").find((state) => state && !STATES.includes(state));
  return unknown ? { filter, wrong: `“${unknown}” is no state. Use ${STATES.join(", ")}.` } : { filter };
}

/** The words that could come next, given what was typed so far. */
export function complete(text, known) {
  const last = /(\S*)$/.exec(text)[1];
  const before = text.slice(0, text.length - last.length);
  const [key, value] = last.includes(":") ? last.split(/:(.*)/) : [null, last];
  if (key === null) return Object.keys(KEYS).filter((name) => name.startsWith(value)).map((name) => ({ text: `${before}${name}:`, label: `${name}:`, open: true }));
  const values = key === "state" ? STATES : [...(known[key] ?? [])].sort();
  const quoted = (word) => (/\s/.test(word) ? `"${word}"` : word);
  return values.filter((word) => word.toLowerCase().startsWith(value.replace('"', "").toLowerCase()) && word !== value)
    .slice(0, 10).map((word) => ({ text: `${before}${key}:${quoted(word)} `, label: `${key}:${word}` }));
}
