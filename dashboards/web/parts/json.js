// JSON as it is: exact, searchable, and never markup.
import { html, useState } from "../lib/ui.js";
import { Icon } from "./icons.js";
import { pretty } from "../lib/json.js";
import { copy } from "./dialog.js";

const TOKEN = /("(?:\\.|[^"\\])*")(\s*:)?|(-?\d[\d.eE+-]*)|\b(true|false|null)\b/g;
const LONGEST = 200_000;

function coloured(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(TOKEN)) {
    if (match.index > end) parts.push(text.slice(end, match.index));
    const [whole, string, colon, number] = match;
    parts.push(string ? html`<span class=${colon ? "k" : "s"}>${string}</span>${colon ?? ""}` : html`<span class=${number ? "n" : "w"}>${whole}</span>`);
    end = match.index + whole.length;
  }
  parts.push(text.slice(end));
  return parts;
}

function marked(text, wanted) {
  const parts = [];
  const lower = text.toLowerCase();
  let from = 0;
  for (let at = lower.indexOf(wanted); at >= 0; at = lower.indexOf(wanted, from)) {
    parts.push(text.slice(from, at), html`<mark>${text.slice(at, at + wanted.length)}</mark>`);
    from = at + wanted.length;
  }
  parts.push(text.slice(from));
  return parts;
}

/** @param {{ title: string, value: any, actions?: any, none?: string }} props */
export function Json({ title, value, actions, none = "None." }) {
  const [wanted, setWanted] = useState("");
  if (value === null || value === undefined) return html`<section class="part"><header><h2>${title}</h2><div class="actions">${actions}</div></header><p class="muted">${none}</p></section>`;
  const text = pretty(value);
  const shown = text.length > LONGEST ? `${text.slice(0, LONGEST)}\n… ${text.length - LONGEST} more characters: copy to see them` : text;
  return html`<section class="part"><header><h2>${title}</h2><div class="actions">${actions}
      ${text.length > 300 && html`<input type="search" class="find" placeholder="Find" aria-label=${`Find in ${title}`} value=${wanted} onInput=${(event) => setWanted(event.target.value)} />`}
      <button class="small plain" aria-label=${`Copy ${title}`} onClick=${() => copy(text, title)}><${Icon} name="copy" />Copy</button></div></header>
    <pre class="json" tabindex="0" aria-label=${title}>${wanted ? marked(shown, wanted.toLowerCase()) : shown.length > 60_000 ? shown : coloured(shown)}</pre></section>`;
}
