// A button with more behind it.
import { html, useEffect, useRef, useState } from "../lib/ui.js";
import { needs } from "../lib/may.js";

/** @param {{ label: any, title?: string, plain?: boolean, left?: boolean, items: Array<{ label: any, act: () => void, danger?: boolean, needs?: string } | null | false> }} props */
export function Menu({ label, title, plain, left, items }) {
  const [open, setOpen] = useState(false);
  const root = useRef(null);
  useEffect(() => {
    if (!open) return undefined;
    root.current.querySelector("li button:enabled")?.focus();
    const away = (event) => { if (!root.current?.contains(event.target)) setOpen(false); };
    addEventListener("pointerdown", away);
    return () => removeEventListener("pointerdown", away);
  }, [open]);
  const press = (event) => {
    if (event.key === "Escape" && open) { setOpen(false); root.current.querySelector("button").focus(); }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !open) return;
    event.preventDefault();
    const buttons = [...root.current.querySelectorAll("li button:enabled")];
    buttons[(buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length].focus();
  };
  return html`<div class=${`menu ${left ? "left" : ""}`} ref=${root} onKeyDown=${press}>
    <button type="button" class=${plain ? "plain icon" : ""} aria-haspopup="true" aria-expanded=${open ? "true" : "false"} aria-label=${title} title=${title} onClick=${() => setOpen(!open)}>${label}</button>
    ${open && html`<ul>${items.filter(Boolean).map((item) => html`<li><button type="button" class=${item.danger ? "danger" : ""} onClick=${() => { setOpen(false); item.act(); }} ...${item.needs ? needs(item.needs) : {}}>${item.label}</button></li>`)}</ul>`}
  </div>`;
}
