// All jobs: by state, by what one searches, page by page.
import { html, useEffect, useMemo, useRef, useState } from "../lib/ui.js";
import { may, needs, whyNot } from "../lib/may.js";
import { Link, go, href, usePlace, withQuery } from "../lib/router.js";
import { useApi } from "../lib/live.js";
import { useKeys } from "../lib/keys.js";
import { between, count, duration, plural, shortId, since } from "../lib/format.js";
import { read, STATES } from "../lib/tokens.js";
import { countJobs } from "../lib/attention.js";
import { OPERATIONS, operateAll, operateMatching } from "../lib/operate.js";
import { get } from "../lib/api.js";
import { reached, useSearching } from "../lib/searching.js";
import { tell } from "../parts/dialog.js";
import { Empty, Loaded, Page, When } from "../parts/page.js";
import { Views } from "../parts/views.js";
import { Search } from "../parts/search.js";
import { State } from "../parts/icons.js";

const PAGE = 50;
const ORDER = ["all", ...STATES];

/** How many jobs are in each state, counted up to a bound. */
function useCounts(filter) {
  const { state: _, ...rest } = filter;
  const wanted = toBulk(rest);
  return useApi(`counts ${JSON.stringify(wanted)}`, {}, {
    every: 10_000,
    ask: async () => {
      const counts = {};
      // One after the other: together they would keep what somebody came to see waiting.
      for (const state of STATES.filter((each) => each !== "completed")) {
        const found = await countJobs({ ...wanted, states: [state] });
        counts[state] = `${found.at_least && found.jobs ? "≥ " : ""}${count(found.jobs)}`;
      }
      return counts;
    },
  }).data ?? {};
}

/** The filter as the bulk operations take it. */
function toBulk({ state, kind, queue, tenant, correlation, tag }) {
  const filter = { kind, queue, tenant_id: tenant, correlation_id: correlation, tag, states: state ? state.split(",") : undefined };
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value));
}

const waited = (job) => (job.claimed_at ? duration(Math.max(0, between(job.run_at < job.enqueued_at ? job.enqueued_at : job.run_at, job.claimed_at))) : job.state === "available" ? duration(Math.max(0, since(job.run_at))) : "–");
const ran = (job) => (!job.claimed_at ? "–" : job.state === "running" ? duration(since(job.claimed_at)) : job.finished_at ? duration(between(job.claimed_at, job.finished_at)) : "–");
const when = (job) => job.finished_at ?? (["scheduled", "retryable"].includes(job.state) ? job.run_at : job.state === "running" ? job.claimed_at : job.enqueued_at);

/** What is drawn: new rows gather behind a line until somebody wants them. */
function useCalm(data, isFirst) {
  const [shown, setShown] = useState(undefined);
  const ids = useRef("");
  const key = usePlace();
  useEffect(() => { ids.current = ""; setShown(undefined); }, [key]);
  useEffect(() => {
    if (!data) return;
    setShown((was) => {
      if (!was || !isFirst || was.jobs.length === 0) return data;
      const fresh = new Map(data.jobs.map((job) => [job.id, job]));
      const known = new Set(was.jobs.map((job) => job.id));
      const isNew = data.jobs.some((job) => !known.has(job.id));
      // While nothing new has come, rows may also go: a job that changed its state is no longer here.
      return isNew ? { ...was, jobs: was.jobs.map((job) => fresh.get(job.id) ?? job) } : data;
    });
  }, [data, isFirst]);
  const known = new Set((shown?.jobs ?? []).map((job) => job.id));
  const waiting = shown && data && isFirst ? data.jobs.filter((job) => !known.has(job.id)).length : 0;
  return { shown: shown ?? data, waiting, show: () => setShown(data) };
}

function Rows({ jobs, at, picked, toggle }) {
  return jobs.map((job, i) => html`<tr key=${job.id} class=${`${i === at ? "at" : ""} ${picked.has(job.id) ? "on" : ""}`}>
    <td><input type="checkbox" aria-label=${`Select ${job.kind} ${shortId(job.id)}`} checked=${picked.has(job.id)} onClick=${(event) => toggle(i, event.shiftKey)} /></td>
    <td><${State} state=${job.state} /></td>
    <td><${Link} class="row" to=${`/jobs/${job.id}`}>${job.kind}<//> <code title=${job.id}>${shortId(job.id)}</code></td>
    <td class="hide-phone" title=${job.tenant_id}>${job.tenant_id ?? html`<span class="muted">–</span>`}</td><td class="hide-phone">${job.queue}</td>
    <td class="num hide-phone">${job.attempt} / ${job.max_attempts}</td><td class="num hide-phone">${waited(job)}</td><td class="num hide-phone">${ran(job)}</td><td class="num"><${When} at=${when(job)} /></td></tr>`);
}

export function Jobs() {
  const { query } = usePlace();
  useEffect(() => {
    if (!query.q) return;
    const found = read(query.q);
    go(found.id ? `/jobs/${found.id}` : href("/jobs", found.filter), { replace: true });
  }, [query.q]);
  const filter = { state: query.state, kind: query.kind, queue: query.queue, tenant: query.tenant, correlation: query.correlation, tag: query.tag };
  const isFirst = !query.after;
  const asked = useApi("/v1/jobs", { ...filter, limit: PAGE, after: query.after }, { every: 2500 });
  useSearching(asked.data);
  const { shown, waiting, show } = useCalm(asked.data, isFirst);
  const counts = useCounts(filter);
  const { data: queues } = useApi("/v1/queues", {}, { every: 30_000, ask: (signal) => get("/v1/queues", {}, signal) });
  const [picked, setPicked] = useState(new Set());
  const [every, setEvery] = useState(false);
  const [at, setAt] = useState(-1);
  const last = useRef(-1);
  const jobs = shown?.jobs ?? [];
  const known = useMemo(() => ({
    kind: new Set(jobs.map((job) => job.kind)), queue: new Set([...(queues?.queues ?? []).map((q) => q.queue), ...jobs.map((job) => job.queue)]),
    tenant: new Set(jobs.map((job) => job.tenant_id).filter(Boolean)), tag: new Set(jobs.flatMap((job) => job.tags)), correlation: new Set(jobs.map((job) => job.correlation_id).filter(Boolean)),
  }), [shown, queues]);
  const clear = () => { setPicked(new Set()); setEvery(false); };
  useEffect(clear, [JSON.stringify(query)]);
  const toggle = (i, range) => {
    const next = new Set(picked);
    const [low, high] = range && last.current >= 0 ? [Math.min(i, last.current), Math.max(i, last.current)] : [i, i];
    const on = !picked.has(jobs[i].id);
    for (const job of jobs.slice(low, high + 1)) { if (on) next.add(job.id); else next.delete(job.id); }
    last.current = i;
    setEvery(false);
    setPicked(next);
  };
  const all = jobs.length > 0 && jobs.every((job) => picked.has(job.id));
  const chosen = jobs.filter((job) => picked.has(job.id));
  const does = async (name) => {
    if (!may("operator")) { tell(whyNot("operator")); return; }
    if (every) { await operateMatching(name, toBulk(filter)); clear(); return; }
    const these = chosen.length ? chosen : jobs[at] ? [jobs[at]] : [];
    if (these.length && await operateAll(name, these)) clear();
  };
  const keys = useMemo(() => ({
    j: () => setAt(Math.min(at + 1, jobs.length - 1)), k: () => setAt(Math.max(at - 1, 0)), x: () => jobs[at] && toggle(at, false),
    Enter: () => jobs[at] && go(`/jobs/${jobs[at].id}`), Escape: clear,
    ...Object.fromEntries(Object.entries(OPERATIONS).map(([name, { key }]) => [key, () => does(name)])),
  }), [at, shown, picked, every, query]);
  useKeys(keys);
  useEffect(() => { document.querySelector("tr.at")?.scrollIntoView({ block: "nearest" }); }, [at]);
  const state = query.state ?? "all";
  const isShort = shown?.next && jobs.length < PAGE;
  const buttons = Object.entries(OPERATIONS).filter(([, o]) => state === "all" || state.split(",").some((s) => o.from.includes(s)));
  return html`<${Page} title="Jobs" at=${asked.at} actions=${html`<${Views} />`}>
    <nav class="tabs" aria-label="States">${ORDER.map((name) => html`<${Link} key=${name} to=${withQuery({ state: name === "all" ? undefined : name, after: undefined })} aria-current=${name === state ? "page" : undefined}>
      ${name === "all" ? "all" : html`<${State} state=${name} />`}${counts[name] && counts[name] !== "0" ? html`<b>${counts[name]}</b>` : null}<//>`)}</nav>
    <${Search} filter=${filter} known=${known} />
    <${Loaded} of=${{ ...asked, data: shown }} rows=${10}>${() => jobs.length === 0
      ? shown.next ? html`<${Empty} title="Searching">Nothing since <${When} at=${reached(shown.next)} />; what is older is being looked at.<//>` : html`<${Empty} title=${state === "all" ? "No job matches" : `No ${state} job matches`}>${Object.values(filter).some(Boolean) ? "Drop a token, or look at another state." : html`Jobs come with <code>POST /v1/jobs</code>, <code>jobctl enqueue</code>, or by a schedule.`}<//>`
      : html`${waiting > 0 && html`<button class="fresh" onClick=${show}>${plural(waiting, "new job")}, show</button>`}
        <div class="scroll"><table class="jobs"><thead><tr><th scope="col"><input type="checkbox" aria-label="Select this page" checked=${all} onClick=${() => { setEvery(false); setPicked(all ? new Set() : new Set(jobs.map((job) => job.id))); }} /></th>
          <th scope="col">state</th><th scope="col">kind</th><th scope="col" class="hide-phone">tenant</th><th scope="col" class="hide-phone">queue</th><th scope="col" class="num hide-phone">attempt</th><th scope="col" class="num hide-phone">waited</th><th scope="col" class="num hide-phone">ran</th><th scope="col" class="num">when</th></tr></thead>
          <tbody><${Rows} jobs=${jobs} at=${at} picked=${picked} toggle=${toggle} /></tbody></table></div>
        ${chosen.length > 0 && html`<div class="pick" role="region" aria-label="What is selected"><b>${every ? "All that match" : plural(chosen.length, "job")}</b>
          ${all && !every && shown.next && html`<button class="small plain" onClick=${() => setEvery(true)}>Select all that match${counts[state] ? ` (${counts[state]})` : ""}</button>`}
          ${buttons.map(([name, { verb, danger, key }]) => html`<button class=${danger ? "danger" : ""} title=${`${verb} (${key})`} onClick=${() => does(name)} ...${needs("operator")}>${verb}</button>`)}
          <button class="plain" onClick=${clear}>Clear</button></div>`}
        <div class="foot"><span>${plural(jobs.length, "job")} on this page${isShort ? html`, looked back to <${When} at=${reached(shown.next)} />` : ""}</span><span class="right">
          ${!isFirst && html`<${Link} class="button" to=${withQuery({ after: undefined })}>Newest<//><button onClick=${() => history.back()}>Back</button>`}
          ${shown.next && html`<${Link} class="button" to=${withQuery({ after: shown.next })}>${isShort ? "Search further" : "Older"}<//>`}</span></div>`}<//>
  <//>`;
}
