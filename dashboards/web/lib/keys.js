// The keyboard. A key means nothing while somebody writes.
import { useEffect } from "./ui.js";

const isWriting = (target) => target.closest?.("input, textarea, select, dialog, [contenteditable]") !== null && target.closest?.("input, textarea, select, dialog, [contenteditable]") !== undefined && target.type !== "checkbox";

/**
 * @param {Record<string, (event: KeyboardEvent) => void>} keys by key, or by two as in "g j"
 */
export function useKeys(keys) {
  useEffect(() => {
    let first = "";
    let forget = 0;
    const press = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isWriting(event.target)) return;
      const pair = keys[`${first} ${event.key}`];
      const act = pair ?? keys[event.key];
      first = pair ? "" : event.key;
      clearTimeout(forget);
      forget = setTimeout(() => { first = ""; }, 900);
      if (!act) return;
      event.preventDefault();
      act(event);
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [keys]);
}
