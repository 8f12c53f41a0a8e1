// The steps of a flow, in columns: each to the right of all it waits for.
import { html, useState } from "../lib/ui.js";
import { go } from "../lib/router.js";

const [WIDE, HIGH, GAP_X, GAP_Y] = [188, 44, 52, 14];
const MOST = 300;

function placed(steps) {
  const byName = new Map(steps.map((step) => [step.name, step]));
  const column = new Map();
  const depth = (step, seen = new Set()) => {
    if (column.has(step.name)) return column.get(step.name);
    if (seen.has(step.name)) return 0;
    seen.add(step.name);
    const parents = step.parents.map((name) => byName.get(name)).filter(Boolean);
    const own = parents.length ? 1 + Math.max(...parents.map((parent) => depth(parent, seen))) : 0;
    column.set(step.name, own);
    return own;
  };
  const rows = [];
  return steps.map((step) => {
    const x = depth(step);
    rows[x] = (rows[x] ?? -1) + 1;
    return { step, x: 12 + x * (WIDE + GAP_X), y: 12 + rows[x] * (HIGH + GAP_Y) };
  });
}

export function Graph({ steps }) {
  const [zoom, setZoom] = useState(1);
  const nodes = placed(steps.slice(0, MOST));
  const at = new Map(nodes.map((node) => [node.step.name, node]));
  const width = Math.max(...nodes.map((node) => node.x)) + WIDE + 12;
  const height = Math.max(...nodes.map((node) => node.y)) + HIGH + 12;
  const edges = nodes.flatMap((node) => node.step.parents.map((name) => at.get(name)).filter(Boolean).map((from) => {
    const [x1, y1, x2, y2] = [from.x + WIDE, from.y + HIGH / 2, node.x, node.y + HIGH / 2];
    return `M${x1},${y1} C${x1 + GAP_X / 2},${y1} ${x2 - GAP_X / 2},${y2} ${x2},${y2}`;
  }));
  const clip = (text, n) => (text.length > n ? `${text.slice(0, n - 1)}…` : text);
  return html`<div class="chips graphs"><button class="small" aria-label="Smaller" onClick=${() => setZoom(Math.max(0.3, zoom / 1.25))}>−</button><button class="small" aria-label="Larger" onClick=${() => setZoom(Math.min(2, zoom * 1.25))}>+</button>
      ${steps.length > MOST && html`<span class="muted">The first ${MOST} steps.</span>`}</div>
    <div class="flow" tabindex="0" role="region" aria-label="The graph of the flow"><svg width=${width * zoom} height=${height * zoom} viewBox=${`0 0 ${width} ${height}`}>
      ${edges.map((d) => html`<path d=${d} />`)}
      ${nodes.map(({ step, x, y }) => html`<a href=${`/jobs/${step.job_id}`} data-state=${step.state} onClick=${(event) => { event.preventDefault(); go(`/jobs/${step.job_id}`); }}>
        <rect x=${x} y=${y} width=${WIDE} height=${HIGH} rx="6" /><text x=${x + 12} y=${y + 19}>${clip(step.name, 24)}</text>
        <text class="sub" x=${x + 12} y=${y + 35}>${clip(`${step.state} · ${step.kind}`, 28)}</text></a>`)}</svg></div>`;
}
