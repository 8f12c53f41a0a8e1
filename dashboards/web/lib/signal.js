// One value that several parts of the page look at.
import { useEffect, useState } from "./ui.js";

/**
 * @template T
 * @param {T} value
 */
export function signal(value) {
  const listeners = new Set();
  return {
    get: () => value,
    /** @param {T} next */
    set(next) {
      if (Object.is(next, value)) return;
      value = next;
      for (const listener of [...listeners]) listener();
    },
    /** @param {() => void} listener */
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** The value, drawn again when it changes. */
export function useSignal(source) {
  const [, draw] = useState({});
  useEffect(() => source.subscribe(() => draw({})), [source]);
  return source.get();
}
