// Making up for ticks that were missed: the range, which ticks it means, and only then firing them.
import { html, useEffect, useState } from "./ui.js";
import { part, post } from "./api.js";
import { absolute, plural } from "./format.js";
import { act, ask } from "../parts/dialog.js";

const SHOWN = 12;

const url = (name) => `/v1/schedules/${part(name)}/backfill`;
const local = (date) => new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);

/** As the API takes it; null while a time is not complete. */
function range({ from, until }) {
  const times = [from, until].map((text) => new Date(text));
  if (times.some((time) => Number.isNaN(time.getTime()))) return null;
  return { from: times[0].toISOString(), until: times[1].toISOString() };
}

/** Which ticks the range means that have not fired. `found` is told how many. */
function Missed({ name, from, until, found }) {
  const [{ ticks, wrong }, setState] = useState({});
  useEffect(() => {
    let gone = false;
    const set = (state) => { if (!gone) { setState(state); found(state.ticks?.length ?? 0); } };
    const asked = range({ from, until });
    set({});
    if (asked) {
      post(url(name), { ...asked, preview: true }).then(
        (answer) => set({ ticks: answer.ticks.filter((tick) => tick.before !== "fired") }),
        (problem) => set({ wrong: problem.message }),
      );
    }
    return () => { gone = true; };
  }, [name, from, until]);
  if (wrong) return html`<p class="wrong" role="alert">${wrong}</p>`;
  if (!ticks) return html`<p class="muted">–</p>`;
  if (ticks.length === 0) return html`<p class="muted">No tick of that range is left to fire.</p>`;
  return html`<p>${plural(ticks.length, "tick")} to fire:</p><ul class="chips">${ticks.slice(0, SHOWN).map((tick) => html`<li class="chip">${absolute(tick.fire_at)}</li>`)}${ticks.length > SHOWN && html`<li>and ${ticks.length - SHOWN} more</li>`}</ul>`;
}

/** Yesterday, unless somebody says otherwise. */
export async function backfill(name) {
  const today = new Date(new Date().setHours(0, 0, 0, 0));
  const yesterday = new Date(new Date(today).setDate(today.getDate() - 1));
  const answer = await ask({
    title: `Make up for missed ticks of ${name}`, verb: "Fire", reason: true, text: "Ticks that have fired before are not fired again.",
    fields: [{ name: "from", label: "From", type: "datetime-local", value: local(yesterday), required: true }, { name: "until", label: "Until", type: "datetime-local", value: local(today), required: true }],
    aside: ({ from, until }, setRows) => html`<${Missed} name=${name} from=${from} until=${until} found=${setRows} />`,
  });
  const wanted = answer && range(answer);
  if (wanted) await act(() => post(url(name), { ...wanted, reason: answer.reason || undefined }), (done) => `${plural(Number(done.count), "tick")} fired.`);
}
