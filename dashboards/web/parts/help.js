// What the keyboard does.
import { html, useEffect, useRef } from "../lib/ui.js";
import { RAIL } from "../frame.js";

const KEYS = [
  ["/", "Search, or jump anywhere"], ["p", "Hold still, or follow again"], ["j k", "Down and up in a list"], ["Enter", "Open"],
  ["x", "Select; Shift-click selects to there"], ["r", "Requeue what is selected"], ["c", "Cancel it"], ["e", "Discard it"], ["?", "This"],
];

export function ShortcutHelp({ close }) {
  const dialog = useRef(null);
  useEffect(() => { dialog.current.showModal(); }, []);
  return html`<dialog ref=${dialog} aria-labelledby="keyboard" onClose=${close}><form method="dialog">
    <h2 id="keyboard">Keyboard</h2>
    <dl class="facts">${KEYS.map(([key, told]) => html`<dt><kbd>${key}</kbd></dt><dd>${told}</dd>`)}
      ${RAIL.filter(Boolean).map(([, word, , key]) => html`<dt><kbd>g</kbd> <kbd>${key}</kbd></dt><dd>${word}</dd>`)}</dl>
    <footer><button autofocus>Close</button></footer></form></dialog>`;
}
