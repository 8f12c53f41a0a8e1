// The address holds every filter, sort and page: Back works, and a link shows what its sender saw.
import { html } from "./ui.js";
import { signal, useSignal } from "./signal.js";

const read = () => ({ path: location.pathname, query: Object.fromEntries(new URLSearchParams(location.search)) });
export const place = signal(read());
addEventListener("popstate", () => place.set(read()));

/** @param {string} path @param {Record<string, string|undefined>} [query] */
export function href(path, query = {}) {
  const asked = Object.entries(query).filter(([, value]) => value);
  return asked.length ? `${path}?${new URLSearchParams(asked)}` : path;
}

/** Goes there. `replace` for what is no step of its own, such as a letter typed into a filter. */
export function go(url, { replace = false } = {}) {
  if (url === location.pathname + location.search) return;
  history[replace ? "replaceState" : "pushState"](null, "", url);
  const before = place.get().path;
  place.set(read());
  if (location.pathname !== before) scrollTo(0, 0);
}

/** The address with these parameters changed; an empty one goes. */
export function withQuery(changes) {
  const { path, query } = place.get();
  return href(path, { ...query, ...changes });
}

export const usePlace = () => useSignal(place);

/** A link that does not load the page anew. */
export function Link({ to, children, ...rest }) {
  const follow = (event) => {
    if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(to);
  };
  return html`<a href=${to} onClick=${follow} ...${rest}>${children}</a>`;
}
