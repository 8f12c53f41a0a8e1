// The API's event stream: what finishes, as it does. It only says that there is something to ask about, and
// whoever draws asks; so a stream that is lost makes a page slower, and never wrong.
import { signal } from "./signal.js";

const ADDRESS = "/v1/events";
/** All that the stream tells of; `resync` says that some was missed. */
const EVENTS = ["job.completed", "job.cancelled", "job.dead", "resync"];
/** Events come in bursts: what they say is passed on once they pause for so long, or after so long at any rate. */
const PAUSE = 250;
const LONGEST = 1000;
/** The browser comes back by itself from a broken line, but not from a refusal. */
const AGAIN = 10_000;

/** `opening`, `open`, `lost`, or `closed` while nobody looks. */
export const stream = signal("closed");

let source = null;
let again = 0;
let pause = 0;
let first = 0;
let tellAll = () => {};

function happened() {
  clearTimeout(pause);
  first ||= Date.now();
  pause = setTimeout(() => { first = 0; tellAll(); }, Math.max(0, Math.min(PAUSE, first + LONGEST - Date.now())));
}

function open() {
  clearTimeout(again);
  if (source) return;
  if (stream.get() !== "lost") stream.set("opening");
  source = new EventSource(ADDRESS);
  source.onopen = () => {
    // What finished while the line was down is asked for, whether or not it is told again.
    if (stream.get() === "lost") happened();
    stream.set("open");
  };
  source.onerror = () => {
    stream.set("lost");
    if (source?.readyState !== EventSource.CLOSED) return;
    source = null;
    again = setTimeout(open, AGAIN);
  };
  for (const event of EVENTS) source.addEventListener(event, happened);
}

function close() {
  clearTimeout(again);
  clearTimeout(pause);
  first = 0;
  source?.close();
  source = null;
  stream.set("closed");
}

/** Listens while `wanted`, and leaves its place to others otherwise: the server, and the browser, have few. */
export function listen(wanted, told) {
  tellAll = told;
  if (wanted) open();
  else close();
}
