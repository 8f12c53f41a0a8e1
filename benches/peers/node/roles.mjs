// The roles of crates/windlass/benches/support/roles.rs for Node: the same job, the same clock, the same
// way to count, and one line of JSON at the end.

import { readFileSync } from "node:fs";

// Rows per call where a client enqueues many at once.
const BULK = 5_000;
// Of more jobs than this, single waits are not kept.
const MOST_WAITS = 20_000;

// Microseconds since 1970; Date.now() knows milliseconds only.
const now = () => Math.round((performance.timeOrigin + performance.now()) * 1000);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const noop = () => ({ sent: now() });

// Counts and times the starts of jobs. `started` is the first thing a handler calls.
class Probe {
  constructor(expected) {
    this.expected = expected;
    this.count = 0;
    this.first = undefined;
    this.waits = [];
    this.all = new Promise((resolve) => {
      this.allStarted = resolve;
    });
  }

  started(job) {
    this.count += 1;
    if (this.count === 1) this.first = now();
    if (this.expected <= MOST_WAITS) this.waits.push(now() - job.sent);
    if (this.count === this.expected) this.allStarted();
  }
}

const perSecond = (n, micros) => (n * 1e6) / micros;

const percentile = (sorted, percent) =>
  sorted.length === 0 ? 0 : sorted[Math.min(Math.floor((sorted.length * percent) / 100), sorted.length - 1)] / 1e3;

async function single(queue, n) {
  // Connections and prepared statements are not what is measured.
  await queue.enqueue(noop());
  const began = now();
  for (let at = 1; at < n; at += 1) await queue.enqueue(noop());
  return { rate: perSecond(n - 1, now() - began) };
}

async function bulk(queue, n) {
  const began = now();
  for (let left = n; left > 0; left -= BULK) {
    const job = noop();
    await queue.enqueueMany(Array.from({ length: Math.min(left, BULK) }, () => job));
  }
  return { rate: perSecond(n, now() - began) };
}

// On a timetable: one that is late sends at once, and its wait counts from then.
async function steady(queue, rate, seconds) {
  const began = now();
  for (let at = 0; at < rate * seconds; at += 1) {
    const early = began + (at * 1e6) / rate - now();
    if (early > 0) await pause(early / 1e3);
    await queue.enqueue(noop());
  }
  return { rate: perSecond(rate * seconds, now() - began) };
}

// Works until all have started and have their outcome, or time is up.
async function work(queue, expected, seconds) {
  const probe = new Probe(expected);
  let late = false;
  const timeUp = new Promise((resolve) => {
    setTimeout(() => {
      late = true;
      resolve();
    }, seconds * 1000).unref();
  });
  const stop = await queue.work((job) => probe.started(job));
  const recorded = async () => {
    await probe.all;
    while (!late && (await queue.unfinished()) > 0) await pause(2);
  };
  await Promise.race([recorded(), timeUp]);
  const ended = now();
  const ran = Math.min(probe.count, expected);
  // A worker that was cut short may take long to let go of what it holds; it is not measured.
  await Promise.race([stop(), pause(5_000)]);
  probe.waits.sort((a, b) => a - b);
  return {
    // One that started nothing has a rate of nothing.
    rate: perSecond(ran, ended - (probe.first ?? 0)),
    ran,
    complete: !late && ran === expected,
    wait_p50: percentile(probe.waits, 50),
    wait_p99: percentile(probe.waits, 99),
  };
}

// MiB.
function peakMemory() {
  const line = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"));
  return Number(line[1]) / 1024;
}

function cpuTime() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

export async function play(queue, [role, ...numbers]) {
  const [first, second] = numbers.map(Number);
  const roles = {
    "set-up": () => queue.setUp(),
    single: () => single(queue, first),
    bulk: () => bulk(queue, first),
    steady: () => steady(queue, first, second),
    "work-for": () => work(queue, first, second),
    count: async () => ({ finished: await queue.finished() }),
  };
  if (!(role in roles)) throw new Error(`no role is called ${role}`);
  const nothing = { rate: 0, slowest: 0, wait_p50: 0, wait_p99: 0, ran: 0, complete: false, finished: 0 };
  const found = { ...nothing, ...(await roles[role]()), memory: peakMemory(), cpu: cpuTime() };
  process.stdout.write(`${JSON.stringify(found)}\n`);
}
