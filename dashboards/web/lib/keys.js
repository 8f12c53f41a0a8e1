// The keyboard. A key means nothing while somebody writes.
import { useEffect, useRef } from "./ui.js";

function isWriting(target) {
  const field = target.closest?.("input, textarea, select, dialog, [contenteditable]");
  return Boolean(field) && target.type !== "checkbox";
}

/**
 * @param {Record<string, (event: KeyboardEvent) => void>} keys by key, or by two as in "g j"
 */
export function useKeys(keys) {
  // The latest, so that keys pressed in quick succession each see what the one before did.
  const latest = useRef(keys);
  latest.current = keys;
  useEffect(() => {
    let first = "";
    let forget = 0;
    const press = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isWriting(event.target)) return;
      const pair = latest.current[`${first} ${event.key}`];
      const act = pair ?? latest.current[event.key];
      first = pair ? "" : event.key;
      clearTimeout(forget);
      forget = setTimeout(() => { first = ""; }, 900);
      if (!act) return;
      event.preventDefault();
      act(event);
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}
