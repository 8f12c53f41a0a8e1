// Numbers, times and sizes, as people read them.
import { now } from "./live.js";

const grouped = new Intl.NumberFormat("en-US");
export const count = (n) => (n === null || n === undefined ? "–" : grouped.format(n));
/** 1,240 · 12.4 k · 3.1 M */
export const short = (n) => (n < 10_000 ? grouped.format(Math.round(n)) : n < 1e6 ? `${trim(n / 1e3)} k` : `${trim(n / 1e6)} M`);
const trim = (n) => (n >= 100 ? String(Math.round(n)) : n.toFixed(1).replace(/\.0$/, ""));
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;
export const percent = (part) => (part === 0 ? "0 %" : part < 0.001 ? "< 0.1 %" : `${trim(part * 100)} %`);

/** 840 ms · 2.4 s · 4m 05s · 1h 02m · 3d 4h */
export function duration(ms) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return "–";
  if (ms < 0) return "0 ms";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${ms < 10_000 ? trim(ms / 1000) : Math.round(ms / 1000)} s`;
  const minutes = Math.floor(ms / 60_000);
  const two = (n) => String(n).padStart(2, "0");
  if (minutes < 60) return `${minutes}m ${two(Math.floor((ms % 60_000) / 1000))}s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours}h ${two(minutes % 60)}m` : `${Math.floor(hours / 24)}d ${hours % 24}h`;
}

const round = (ms) => duration(ms < 1000 ? 0 : ms < 60_000 ? Math.floor(ms / 1000) * 1000 : ms);
export function ago(text) {
  if (!text) return "–";
  const ms = now() - Date.parse(text);
  if (Math.abs(ms) < 1500) return "now";
  return ms > 0 ? `${round(ms)} ago` : `in ${round(-ms)}`;
}
export const since = (text) => now() - Date.parse(text);
export const between = (from, to) => Date.parse(to) - Date.parse(from);

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const full = new Intl.DateTimeFormat("en-CA", { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23" });
const hms = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
export const absolute = (text) => (text ? `${full.format(new Date(text)).replace(",", "")} ${zone}` : "");
export const clockTime = (text) => hms.format(new Date(text));

export function bytes(n) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (n >= 1000 && unit < units.length - 1) { n /= 1000; unit += 1; }
  return `${unit ? trim(n) : n} ${units[unit]}`;
}
/** What one recognises an id by. */
export const shortId = (id) => (id.length > 18 ? `${id.slice(0, 8)}…${id.slice(-4)}` : id);
