// The saved views of the jobs page: go to one, save the filters as one, forget one.
import { html } from "../lib/ui.js";
import { go, href, usePlace } from "../lib/router.js";
import { useSignal } from "../lib/signal.js";
import { forget, isOne, save, views, wrongName } from "../lib/views.js";
import { Icon } from "./icons.js";
import { Menu } from "./menu.js";
import { ask, tell } from "./dialog.js";

async function keep(query) {
  const answer = await ask({ title: "Save these filters as a view", verb: "Save", text: "It is kept in this browser.", fields: [{ name: "name", label: "Name", required: true, check: wrongName }] });
  if (!answer) return;
  save(answer.name.trim(), query);
  tell(`“${answer.name.trim()}” is saved.`, { kind: "good" });
}

async function drop() {
  const answer = await ask({ title: "Forget a view", verb: "Forget it", fields: [{ name: "name", label: "View", options: views.get().map(({ name }) => [name, name]), value: views.get()[0].name }] });
  if (answer) { forget(answer.name); tell(`“${answer.name}” is forgotten.`); }
}

export function Views() {
  const { query } = usePlace();
  const saved = useSignal(views);
  return html`<${Menu} title="Views" label=${html`Views<${Icon} name="down" />`} items=${[
    ...saved.map((view) => ({ label: view.name, act: () => go(href("/jobs", view.query)) })),
    isOne(query) ? { label: "Save these filters…", act: () => keep(query) } : saved.length === 0 && { label: "Filter first, then save it here", act: () => document.querySelector("input[name=search]")?.focus() },
    saved.length > 0 && { label: "Forget a view…", act: drop },
  ]} />`;
}
