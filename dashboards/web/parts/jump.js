// One field that leads anywhere: a page, a job by its id, jobs by a word.
import { html, useState } from "../lib/ui.js";
import { go, href } from "../lib/router.js";
import { RAIL } from "../frame.js";

const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

function targets(text) {
  const word = text.trim();
  const lower = word.toLowerCase();
  if (ID.test(word)) {
    return [[`/jobs/${lower}`, `Job ${lower}`, "job"], [`/flows/${lower}`, `Flow ${lower}`, "flow"], [href("/jobs", { correlation: word }), "Everything with this correlation id", "jobs"]];
  }
  const pages = RAIL.filter((item) => item && item[1].toLowerCase().includes(lower)).map(([to, name]) => [to, name, "page"]);
  if (!word) return pages;
  const q = word.includes(":") ? word : null;
  return [
    ...pages,
    ...(q ? [[`/jobs?q=${encodeURIComponent(q)}`, q, "jobs"]] : [
      [href("/jobs", { kind: word }), word, "jobs of this kind"], [href("/jobs", { tenant: word }), word, "jobs of this tenant"],
      [href("/jobs", { queue: word }), word, "jobs of this queue"], [href("/jobs", { correlation: word }), word, "jobs of this correlation id"],
    ]),
  ];
}

export function Jump({ input }) {
  const [text, setText] = useState("");
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(0);
  const found = targets(text);
  const take = (to) => { setText(""); setOpen(false); input.current?.blur(); go(to); };
  const press = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) { event.preventDefault(); setOpen(true); setAt((at + step + found.length) % Math.max(found.length, 1)); }
    if (event.key === "Escape") { setOpen(false); input.current.blur(); }
    if (event.key === "Enter" && found[at]) take(found[at][0]);
  };
  return html`<div class="jump" role="search">
    <input ref=${input} type="text" placeholder="Search or jump…" aria-label="Search or jump" role="combobox" aria-expanded=${open ? "true" : "false"} aria-controls="jump" autocomplete="off" spellcheck=${false}
      value=${text} onInput=${(event) => { setText(event.target.value); setOpen(true); setAt(0); }} onKeyDown=${press} onFocus=${() => setOpen(true)} onBlur=${() => setTimeout(() => setOpen(false), 120)} />
    <kbd class="wide">/</kbd>
    ${open && found.length > 0 && html`<ul class="options" id="jump" role="listbox" aria-label="Where to">${found.map(([to, name, what], i) => html`
      <li role="option" key=${to} aria-selected=${i === at ? "true" : "false"} onPointerDown=${(event) => { event.preventDefault(); take(to); }}><span class="clip">${name}</span><small>${what}</small></li>`)}</ul>`}
  </div>`;
}
