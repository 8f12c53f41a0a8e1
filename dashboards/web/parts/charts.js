// Lines over time: small ones as SVG, the large one by uPlot.
import { html, useEffect, useRef } from "../lib/ui.js";
import uPlot from "../vendor/uplot/uplot.js";
import { clockTime, count, short } from "../lib/format.js";

/** The last hour in a cell. */
export function Spark({ values, label }) {
  const top = Math.max(...values, 1);
  const step = 120 / Math.max(values.length - 1, 1);
  const points = values.map((value, i) => `${(i * step).toFixed(1)},${(19 - (value / top) * 18).toFixed(1)}`);
  return html`<svg class="spark" viewBox="0 0 120 20" preserveAspectRatio="none" role="img" aria-label=${label}>
    <path d=${`M0,20 L${points.join(" L")} L120,20 Z`} fill="currentColor" opacity=".16" />
    <path d=${`M${points.join(" L")}`} fill="none" stroke="currentColor" stroke-width="1.2" vector-effect="non-scaling-stroke" /></svg>`;
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** A thin line where a process started: most changes of behaviour begin there. */
const drawMarks = (marks) => (u) => {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.strokeStyle = colour("--muted");
  ctx.setLineDash([3, 3]);
  for (const at of marks()) {
    const x = Math.round(u.valToPos(at, "x", true)) + 0.5;
    if (x <= bbox.left || x >= bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
};

function options(width, height, onHover, marks) {
  const line = colour("--line");
  const axis = { stroke: colour("--muted"), grid: { stroke: line, width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
  const series = (label, name, more) => ({ label, stroke: colour(name), width: 1.6, points: { show: false }, ...more });
  return {
    width, height, legend: { show: false }, cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
    padding: [12, 8, 0, 0],
    scales: { y: { range: (_u, low, high) => [Math.min(low, 0), Math.max(high * 1.08, 1)] } },
    axes: [
      { ...axis, size: 28, values: (_u, ticks) => ticks.map((tick) => label(tick, ticks)) },
      { ...axis, size: 48, values: (_u, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? short(Math.abs(tick)) : "")) },
    ],
    series: [
      {},
      series("in", "--available", { fill: `color-mix(in srgb, ${colour("--available")} 12%, transparent)` }),
      series("done", "--completed"),
      series("failed", "--dead", { width: 0, fill: colour("--dead"), paths: uPlot.paths.bars({ size: [0.7, 8] }) }),
    ],
    hooks: { setCursor: [(u) => onHover(u.cursor.idx)], draw: [drawMarks(marks)] },
  };
}

function label(tick, ticks) {
  const at = new Date(tick * 1000);
  const days = ticks.length > 1 && ticks.at(-1) - ticks[0] > 2 * 86_400;
  return days ? at.toLocaleDateString("en-GB", { day: "numeric", month: "short" }) : clockTime(at).slice(0, 5);
}

/**
 * What came in, what was done and, below the axis, what failed.
 * @param {{ points: Array<{ at: string, enqueued: number, completed: number, failed: number }>, unit: string, marks?: string[] }} props `marks`: when processes started
 */
export function Throughput({ points, unit, marks = [] }) {
  const root = useRef(null);
  const tip = useRef(null);
  const chart = useRef(null);
  const seen = useRef(points);
  seen.current = points;
  const starts = useRef([]);
  starts.current = marks.map((at) => Date.parse(at) / 1000);
  const columns = (of) => [of.map((p) => Date.parse(p.at) / 1000), of.map((p) => p.enqueued), of.map((p) => p.completed), of.map((p) => -p.failed)];
  useEffect(() => {
    const hover = (i) => {
      const p = seen.current[i];
      tip.current.textContent = p ? `${new Date(p.at).toLocaleString("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" })} · ${count(p.enqueued)} in · ${count(p.completed)} done · ${count(p.failed)} failed` : "";
    };
    const draw = () => {
      chart.current?.destroy();
      chart.current = new uPlot(options(root.current.clientWidth, 208, hover, () => starts.current), columns(seen.current), root.current);
    };
    draw();
    let width = root.current.clientWidth;
    const watch = new ResizeObserver(() => {
      if (root.current && root.current.clientWidth !== width) { width = root.current.clientWidth; chart.current.setSize({ width, height: 208 }); }
    });
    watch.observe(root.current);
    addEventListener("jobs:theme", draw);
    return () => { watch.disconnect(); removeEventListener("jobs:theme", draw); chart.current?.destroy(); chart.current = null; };
  }, [unit]);
  useEffect(() => { chart.current?.setData(columns(points)); }, [points]);
  const total = (key) => points.reduce((sum, p) => sum + p[key], 0);
  return html`<figure class="chart">
    <figcaption><span data-state="available" class="state">in ${short(total("enqueued"))}</span><span data-state="completed" class="state">done ${short(total("completed"))}</span>
      <span data-state="dead" class="state">failed ${short(total("failed"))}</span><span class="muted">per ${unit}${marks.length > 0 ? "; dashed: a process started" : ""}</span><output class="muted grow num" ref=${tip} aria-hidden="true"></output></figcaption>
    <div ref=${root} role="img" aria-label=${`Jobs per ${unit}: ${count(total("enqueued"))} came in, ${count(total("completed"))} were done, ${count(total("failed"))} failed.`}></div></figure>`;
}
