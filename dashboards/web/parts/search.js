// The search field of jobs, with completion and a chip for each token.
import { html, useRef, useState } from "../lib/ui.js";
import { complete, KEYS, read } from "../lib/tokens.js";
import { go, withQuery } from "../lib/router.js";

/** @param {{ filter: Record<string, string>, known: Record<string, Set<string>> }} props */
export function Search({ filter, known }) {
  const [text, setText] = useState("");
  const [wrong, setWrong] = useState("");
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(-1);
  const input = useRef(null);
  const options = complete(text, known);
  const submit = (event) => {
    event.preventDefault();
    const found = read(text);
    if (found.id) return go(`/jobs/${found.id}`);
    if (found.wrong) return setWrong(found.wrong);
    setText(""); setOpen(false);
    return go(withQuery({ ...found.filter, after: undefined }));
  };
  const take = (option) => { setText(option.text); setAt(-1); setOpen(Boolean(option.open)); input.current.focus(); };
  const press = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && options.length) { event.preventDefault(); setOpen(true); setAt((at + step + options.length) % options.length); }
    if ((event.key === "Enter" || event.key === "Tab") && open && at >= 0 && options[at]) { event.preventDefault(); take(options[at]); }
    if (event.key === "Escape") setOpen(false);
  };
  const chips = Object.keys(KEYS).filter((key) => key !== "state" && filter[key]);
  return html`<form class="search" onSubmit=${submit}><div>
      <input ref=${input} name="search" aria-label="Search jobs" placeholder="kind:deliver_message tenant:acme …" autocomplete="off" spellcheck=${false} role="combobox" aria-expanded=${open && options.length ? "true" : "false"} aria-controls="tokens"
        value=${text} onInput=${(event) => { setText(event.target.value); setWrong(""); setOpen(true); setAt(-1); }} onKeyDown=${press} onBlur=${() => setTimeout(() => setOpen(false), 120)} />
      ${open && options.length > 0 && html`<ul class="options" id="tokens" role="listbox" aria-label="Tokens">${options.map((option, i) => html`
        <li role="option" key=${option.label} aria-selected=${i === at ? "true" : "false"} onPointerDown=${(event) => { event.preventDefault(); take(option); }}><code>${option.label}</code></li>`)}</ul>`}
    </div><button>Search</button>
    ${wrong && html`<p class="wrong" role="alert">${wrong}</p>`}
    ${chips.length > 0 && html`<ul class="chips">${chips.map((key) => html`<li class="chip" key=${key}><span class="muted">${key}</span><span class="clip">${filter[key]}</span>
      <button type="button" aria-label=${`Drop ${key}`} onClick=${() => go(withQuery({ [key]: undefined, after: undefined }))}>×</button></li>`)}</ul>`}
  </form>`;
}
