// The attempts of a job: how each ended, and how its error differs from the one before.
import { html } from "../lib/ui.js";
import { between, duration, plural, shortId } from "../lib/format.js";
import { Part, When } from "./page.js";
import { Outcome } from "./icons.js";

const LONGEST = 400;
const text = (error) => [error.message, ...error.chain.slice(error.chain[0] === error.message ? 1 : 0).map((cause) => `caused by: ${cause}`)].join("\n");

/** What is kept of both, gone and new: by the longest row of pieces that they share. */
function compare(a, b) {
  const table = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i -= 1) for (let j = b.length - 1; j >= 0; j -= 1) table[i][j] = a[i] === b[j] ? table[i + 1][j + 1] + 1 : Math.max(table[i + 1][j], table[i][j + 1]);
  const parts = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) { parts.push(["kept", a[i]]); i += 1; j += 1; }
    else if (i < a.length && (j >= b.length || table[i + 1][j] >= table[i][j + 1])) { parts.push(["gone", a[i]]); i += 1; }
    else { parts.push(["new", b[j]]); j += 1; }
  }
  return parts;
}

const isWord = (piece) => piece.trim() !== "";
const DRAWN = { kept: (piece) => piece, gone: (piece) => html`<del>${piece}</del>`, new: (piece) => html`<ins>${piece}</ins>` };

/** Word by word; line by line where more than half of the words differ, which would only be confetti. */
function difference(before, after) {
  const [a, b] = [before, after].map((whole) => whole.split(/(\s+)/).slice(0, LONGEST));
  const words = compare(a, b);
  const kept = words.filter(([is, piece]) => is === "kept" && isWord(piece)).length;
  const most = Math.max(a.filter(isWord).length, b.filter(isWord).length);
  const parts = kept * 2 >= most ? words : compare(...[before, after].map((whole) => `${whole}\n`.split(/(?<=\n)/).slice(0, LONGEST)));
  return parts.map(([is, piece]) => DRAWN[is](piece));
}

function Attempt({ attempt, before, open }) {
  const { error } = attempt;
  const head = html`<span class="muted num">${attempt.attempt}</span><${Outcome} outcome=${attempt.outcome} />
    <span class="num">${duration(between(attempt.started_at, attempt.ended_at))}</span><span class="hide-phone muted num"><${When} at=${attempt.ended_at} /></span>`;
  if (!error) return html`<li class="attempt"><div>${head}<code class="muted" title=${attempt.worker}>${shortId(attempt.worker)}</code></div></li>`;
  const same = before?.error && text(before.error) === text(error);
  return html`<li><details class="attempt" open=${open}><summary>${head}<span class="why clip">${error.message}${same && html` <span class="muted">(as before)</span>`}</span></summary>
    <pre tabindex="0" aria-label="The error">${before?.error && !same ? difference(text(before.error), text(error)) : text(error)}${error.backtrace && `\n\n${error.backtrace}`}</pre>
    <p class="muted">by <code>${attempt.worker}</code>, lease ${String(attempt.claim_no)}${before?.error && !same ? "; what is new since the attempt before is marked" : ""}</p></details></li>`;
}

export function Attempts({ attempts }) {
  if (attempts.length === 0) return null;
  const newest = attempts.toReversed();
  const failed = newest.findIndex((attempt) => attempt.error);
  return html`<${Part} title=${plural(attempts.length, "attempt")}><ol>${newest.map((attempt, i) => html`<${Attempt} key=${attempt.claim_no} attempt=${attempt} before=${newest[i + 1]} open=${i === failed} />`)}</ol><//>`;
}
