// Light, dark, or as the system has it.
import { signal } from "./signal.js";

const PLACE = "jobs.theme";
const system = matchMedia("(prefers-color-scheme: dark)");
export const theme = signal(localStorage.getItem(PLACE) ?? "system");

function apply() {
  const dark = theme.get() === "dark" || (theme.get() === "system" && system.matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  dispatchEvent(new Event("jobs:theme"));
}
theme.subscribe(() => { localStorage.setItem(PLACE, theme.get()); apply(); });
system.addEventListener("change", apply);
apply();
