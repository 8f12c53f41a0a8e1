// Filters that the address holds, one field each.
import { html } from "../lib/ui.js";
import { go, usePlace, withQuery } from "../lib/router.js";

/** @param {{ names: string[], labels?: Record<string, string>, options?: Record<string, string[]> }} props */
export function Filters({ names, labels = {}, options = {} }) {
  const { query } = usePlace();
  const set = (name) => (event) => go(withQuery({ [name]: event.target.value.trim() || undefined, after: undefined, cursor: undefined }));
  return html`<div class="search">${names.map((name) => (options[name]
    ? html`<label class="filter"><span class="sr">${labels[name] ?? name}</span><select aria-label=${labels[name] ?? name} onChange=${set(name)}>${[["", `any ${labels[name] ?? name}`], ...options[name].map((o) => [o, o])].map(([value, word]) => html`<option value=${value} selected=${(query[name] ?? "") === value}>${word}</option>`)}</select></label>`
    : html`<label class="filter"><span class="sr">${labels[name] ?? name}</span><input type="search" key=${query[name] ?? ""} placeholder=${labels[name] ?? name} value=${query[name] ?? ""} onChange=${set(name)} /></label>`))}</div>`;
}

/** Newer and older, by a cursor in the address. */
export function Pager({ next, name = "cursor" }) {
  const { query } = usePlace();
  if (!next && !query[name]) return null;
  return html`<div class="foot"><span class="right">${query[name] && html`<button onClick=${() => go(withQuery({ [name]: undefined }))}>Newest</button><button onClick=${() => history.back()}>Back</button>`}
    ${next && html`<button onClick=${() => go(withQuery({ [name]: String(next) }))}>Older</button>`}</span></div>`;
}
