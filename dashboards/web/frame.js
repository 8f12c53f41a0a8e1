// What surrounds every page: the rail, the bar, the keyboard.
import { html, useEffect, useMemo, useRef, useState } from "./lib/ui.js";
import { Link, go, usePlace } from "./lib/router.js";
import { useSignal } from "./lib/signal.js";
import { stream } from "./lib/stream.js";
import { clock, heard, isStale, paused, refresh } from "./lib/live.js";
import { duration } from "./lib/format.js";
import { session, signOut } from "./lib/session.js";
import { may, shows, why, whyNot } from "./lib/may.js";
import { theme } from "./lib/theme.js";
import { useKeys } from "./lib/keys.js";
import { Icon } from "./parts/icons.js";
import { Menu } from "./parts/menu.js";
import { Jump } from "./parts/jump.js";
import { ShortcutHelp } from "./parts/help.js";
import { tell } from "./parts/dialog.js";
import { useAttention } from "./lib/attention.js";

/** @type {Array<[string, string, string, string]|null>} address, word, icon, key after `g` */
export const RAIL = [
  ["/", "Overview", "overview", "o"], null,
  ["/jobs", "Jobs", "jobs", "j"], ["/errors", "Errors", "errors", "e"], ["/queues", "Queues", "queues", "q"],
  ["/schedules", "Schedules", "schedules", "s"], ["/flows", "Flows", "flows", "f"], null,
  ["/messages", "Messages", "messages", "m"], ["/outbox", "Outbox", "outbox", "x"], ["/quarantine", "Quarantine", "quarantine", "u"], ["/backups", "Backups", "backups", "b"], null,
  ["/workers", "Workers", "workers", "w"], ["/system", "System", "system", "y"], ["/audit", "Audit", "audit", "a"],
];
const BOTTOM = ["/", "/jobs", "/errors", "/queues"];

export const Logo = () => html`<svg viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="7" fill="var(--accent)" /><path d="M16 7l9 16H7z" fill="var(--ground)" /><path d="M16 14.500l4 7h-8z" fill="var(--accent)" /></svg>`;

const isAt = (path, to) => (to === "/" ? path === "/" : path === to || path.startsWith(`${to}/`));

function Entry({ item: [to, word, icon], count, warn }) {
  const { path } = usePlace();
  return html`<${Link} to=${to} aria-current=${isAt(path, to) ? "page" : undefined}><${Icon} name=${icon} />${word}
    ${count ? html`<span class=${`count ${warn ? "warn" : ""}`} title="needs a person">${count}</span>` : null}<//>`;
}

async function leave() {
  if (!(await signOut())) tell("The server cannot be reached: the session is still open. Try again.", { kind: "bad" });
}

/** Pages of somebody who sees one tenant only. */
const shown = () => RAIL.filter((item) => !item || shows(item[0]));

function Rail({ counts }) {
  const who = useSignal(session);
  return html`<nav class="rail" aria-label="Pages"><${Link} to="/" class="brand"><${Logo} />jobs<//>
    <ul>${shown().map((item) => (item ? html`<li><${Entry} item=${item} count=${counts[item[0]]} /></li>` : html`<li class="gap" aria-hidden="true"></li>`))}</ul>
    <div class="who"><span title=${who?.name}>${who?.actor || who?.name || "signed in"}</span>${who?.role && html`<small>${who.role}${who.tenant && ` of ${who.tenant}`}</small>`}<button onClick=${leave}>Sign out</button>${["operator", "admin"].map((role) => !may(role) && html`<span id=${why(role)} class="sr">${whyNot(role)}</span>`)}</div></nav>`;
}

function Bottom({ counts }) {
  const [open, setOpen] = useState(false);
  const { path } = usePlace();
  useEffect(() => setOpen(false), [path]);
  const items = shown().filter(Boolean);
  const rest = items.filter(([to]) => !BOTTOM.includes(to));
  return html`${open && html`<nav class="more" aria-label="More pages">${rest.map((item) => html`<${Entry} item=${item} count=${counts[item[0]]} />`)}</nav>`}
    <nav class="bottom" aria-label="Pages of the phone">${items.filter(([to]) => BOTTOM.includes(to)).map((item) => html`<${Entry} item=${item} count=${counts[item[0]]} />`)}
      <button type="button" aria-expanded=${open ? "true" : "false"} onClick=${() => setOpen(!open)}><${Icon} name="more" />More</button></nav>`;
}

/** Live, paused, or stale: a click changes it. */
function Live() {
  useSignal(clock);
  const isPaused = useSignal(paused);
  const at = useSignal(heard);
  const isPushed = useSignal(stream) !== "lost";
  const is = isPaused ? "paused" : isStale() ? "stale" : isPushed ? "live" : "polling";
  const told = is === "stale" ? `stale, ${duration(Math.floor((Date.now() - at) / 1000) * 1000)}` : is;
  const toggle = () => { paused.set(!isPaused); if (isPaused) refresh(); };
  return html`<button class="plain live" data-is=${is} onClick=${toggle} aria-pressed=${isPaused ? "true" : "false"}
    title=${is === "polling" ? "The event stream is lost: the page asks by itself until it is back. Hold everything still (p)" : isPaused ? "Follow again (p)" : "Hold everything still (p)"}><i></i>${told}</button>`;
}

export function Frame({ children }) {
  const [help, setHelp] = useState(false);
  const jump = useRef(null);
  const counts = useAttention();
  const keys = useMemo(() => ({
    "/": () => jump.current?.focus(),
    "?": () => setHelp(true),
    p: () => { paused.set(!paused.get()); if (!paused.get()) refresh(); },
    ...Object.fromEntries(RAIL.filter(Boolean).map(([to, , , key]) => [`g ${key}`, () => go(to)])),
  }), []);
  useKeys(keys);
  const themes = [["system", "As the system"], ["light", "Light"], ["dark", "Dark"]];
  return html`<div class="frame">
    <a class="skip button" href="#page">Skip to the page</a>
    <${Rail} counts=${counts} />
    <div class="bar"><${Jump} input=${jump} />
      <div class="right"><${Live} />
        <button class="plain icon wide" aria-label="Keyboard and help" title="Keyboard and help (?)" onClick=${() => setHelp(true)}><${Icon} name="help" /></button>
        <${Menu} plain=${true} title="Theme" label=${html`<${Icon} name="theme" />`} items=${themes.map(([value, word]) => ({ label: `${theme.get() === value ? "● " : ""}${word}`, act: () => theme.set(value) }))} />
      </div></div>
    ${children}
    <${Bottom} counts=${counts} />
    ${help && html`<${ShortcutHelp} close=${() => setHelp(false)} />`}
  </div>`;
}
