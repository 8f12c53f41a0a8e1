// graphile-worker. It deletes what succeeded.
//
// Tuned: the settings of its own benchmark (perfTest/graphile.config.js): a local queue that fetches 500
// at a time, and completions in batches.

import { Logger, makeWorkerUtils, run } from "graphile-worker";
import pg from "pg";

const TUNED = {
  concurrentJobs: 24,
  maxPoolSize: 25,
  localQueue: { size: 500, refetchDelay: { durationMs: 10 } },
  completeJobBatchDelay: 0,
  failJobBatchDelay: 0,
};

// A line per job is not what is measured, and is the first thing its docs say to switch off.
const logger = new Logger(() => () => {});

export function open(url, tuned) {
  const pool = new pg.Pool({ connectionString: url, max: 2 });
  let utils;
  const client = async () => (utils ??= await makeWorkerUtils({ connectionString: url, logger }));
  return {
    setUp: async () => (await client()).migrate(),
    enqueue: async (job) => (await client()).addJob("noop", job),
    enqueueMany: async (jobs) => (await client()).addJobs(jobs.map((payload) => ({ identifier: "noop", payload }))),
    work: async (started) => {
      const runner = await run({
        preset: { worker: { connectionString: url, ...(tuned ? TUNED : {}) } },
        logger,
        noHandleSignals: true,
        taskList: { noop: (job) => started(job) },
        crontab: "",
      });
      return () => runner.stop();
    },
    unfinished: async () => {
      const { rows } = await pool.query("select count(*)::int as n from graphile_worker._private_jobs");
      return rows[0].n;
    },
    finished: async () => 0,
  };
}
