// Questions before something is done, and what became of it after.
import { html, useEffect, useRef, useState } from "../lib/ui.js";
import { signal, useSignal } from "../lib/signal.js";
import { refresh } from "../lib/live.js";
import { count } from "../lib/format.js";

/** Beyond so many rows, somebody has to type how many. */
const TYPED_ABOVE = 100;

const asked = signal(null);
const toasts = signal([]);
let number = 0;

/** Says what happened. */
export function tell(text, { kind = "", link, keep = false } = {}) {
  number += 1;
  const toast = { id: number, text, kind, link };
  toasts.set([...toasts.get().slice(-3), toast]);
  if (!keep) setTimeout(() => forget(toast.id), kind === "bad" ? 12_000 : 6000);
  return toast.id;
}
const forget = (id) => toasts.set(toasts.get().filter((toast) => toast.id !== id));

/** How long something can be taken back before it is sent, in seconds. */
const UNDO = 5;
let held = 0;
// Whoever closes the tab meanwhile is asked: what was not sent will not be done.
addEventListener("beforeunload", (event) => { if (held) event.preventDefault(); });

/**
 * Waits before it is sent, with a way to take it back.
 * @param {string} what such as "Discard 12 jobs"
 * @returns {Promise<boolean>} whether it is to be done
 */
export const unlessUndone = (what) => new Promise((resolve) => {
  const settle = (go) => {
    if (!timer) return;
    clearTimeout(timer);
    timer = 0;
    held -= 1;
    forget(id);
    if (!go) tell("Nothing was done.");
    resolve(go);
  };
  let timer = setTimeout(() => settle(true), UNDO * 1000);
  held += 1;
  const id = tell(`${what} in ${UNDO} seconds.`, { keep: true, link: html`<button class="small" onClick=${() => settle(false)}>Undo</button>` });
});

/** Does it, says how it went, and has everything asked anew. */
export async function act(doing, done) {
  try {
    const answer = await doing();
    const told = typeof done === "function" ? done(answer) : done;
    tell(told.text ?? told, { kind: "good", link: told.link });
    return answer;
  } catch (problem) {
    tell(problem.message, { kind: "bad" });
    return undefined;
  } finally {
    refresh();
  }
}

/**
 * Asks in proportion: a click for one, a number to be typed for many.
 * @param {{ title: string, text?: any, verb: string, danger?: boolean, rows?: number, reason?: boolean, needed?: boolean,
 *   fields?: Array<{ name: string, label: string, type?: string, value?: string, hint?: string, options?: Array<[string, string]>, rows?: number, required?: boolean, check?: (value: string) => string }>,
 *   aside?: (values: Record<string, string>, setRows: (rows: number) => void) => any, wide?: boolean }} question
 *   of no rows there is nothing to be done; `aside` may find out how many there are
 * @returns {Promise<Record<string, string>|null>} what was filled in; null if it was left
 */
export const ask = (question) => new Promise((resolve) => asked.set({ ...question, resolve }));

export function Dialogs() {
  const question = useSignal(asked);
  return question && html`<${Question} key=${question.title} question=${question} />`;
}

function Question({ question }) {
  const { title, text, verb, danger, reason, needed, fields = [], aside, wide, resolve } = question;
  const [rows, setRows] = useState(question.rows ?? 1);
  const dialog = useRef(null);
  const all = reason ? [...fields, { name: "reason", label: needed ? "Reason" : "Reason (optional)", hint: "Kept in the audit log.", required: needed }] : fields;
  const [values, setValues] = useState(Object.fromEntries(all.map((field) => [field.name, field.value ?? ""])));
  const [typed, setTyped] = useState("");
  const [wrong, setWrong] = useState("");
  const open = (rows > 0 && rows <= TYPED_ABOVE) || typed.replace(/[ ,]/g, "") === String(rows);
  useEffect(() => { dialog.current.showModal(); }, []);
  const leave = (answer) => { asked.set(null); resolve(answer); };
  const submit = (event) => {
    event.preventDefault();
    const bad = all.map((field) => (field.required && !values[field.name].trim() ? `${field.label} is needed.` : field.check?.(values[field.name]) ?? "")).find(Boolean);
    if (bad) setWrong(bad);
    else if (open) leave(values);
  };
  const input = (field) => {
    const props = { name: field.name, value: values[field.name], onInput: (event) => { setWrong(""); setValues({ ...values, [field.name]: event.target.value }); } };
    if (field.options) return html`<select ...${props}>${field.options.map(([value, label]) => html`<option value=${value} selected=${value === values[field.name]}>${label}</option>`)}</select>`;
    if (field.rows) return html`<textarea rows=${field.rows} spellcheck=${false} ...${props}></textarea>`;
    return html`<input type=${field.type ?? "text"} autocomplete="off" ...${props} />`;
  };
  return html`<dialog ref=${dialog} class=${wide ? "wide" : ""} aria-labelledby="question" onCancel=${(event) => { event.preventDefault(); leave(null); }}>
    <form onSubmit=${submit}>
      <h2 id="question">${title}</h2>
      ${text && html`<div>${text}</div>`}
      ${all.map((field) => html`<label class="field">${field.label}${input(field)}${field.hint && html`<small>${field.hint}</small>`}</label>`)}
      ${aside?.(values, setRows)}
      ${rows > TYPED_ABOVE && html`<label class="field">Type ${count(rows)} to go on<input name="typed" inputmode="numeric" autocomplete="off" value=${typed} onInput=${(event) => setTyped(event.target.value)} /></label>`}
      ${wrong && html`<p class="wrong" role="alert">${wrong}</p>`}
      <footer><button type="button" onClick=${() => leave(null)}>Leave it</button>
        <button class=${danger ? "primary danger" : "primary"} disabled=${!open}>${verb}</button></footer>
    </form></dialog>`;
}

/** What happened lately, in the corner. */
export function Toasts() {
  const shown = useSignal(toasts);
  return html`<div class="toasts" role="status" aria-live="polite">${shown.map((toast) => html`
    <div class=${`toast ${toast.kind}`} key=${toast.id}><div><span class="grow">${toast.text}</span>
      ${toast.link}<button class="small plain" aria-label="Close" onClick=${() => forget(toast.id)}>×</button></div></div>`)}</div>`;
}

/** Puts it on the clipboard. */
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    tell(`${what} copied.`);
  } catch {
    tell("The browser does not let this page use the clipboard: it does so over HTTPS or on localhost.", { kind: "bad" });
  }
}
