// pg-boss. It keeps what is done for a while.
//
// Tuned: wake-ups by LISTEN, a thousand jobs per fetch and the next fetch at once while fetches come back
// full; two workers, as the machine has cores. By default it takes one job every two seconds.

import { PgBoss } from "pg-boss";
import pg from "pg";

const QUEUE = "noop";
const TUNED = { batchSize: 1_000, burstWhenBatchFull: true, localConcurrency: 2, pollingIntervalSeconds: 0.5 };

export function open(url, tuned) {
  const pool = new pg.Pool({ connectionString: url, max: 2 });
  let boss;
  const client = async () => {
    if (boss === undefined) {
      boss = new PgBoss({ connectionString: url, useListenNotify: tuned });
      boss.on("error", (error) => process.stderr.write(`pg-boss: ${error.message}\n`));
      await boss.start();
    }
    return boss;
  };
  const count = async (states) => {
    const statement = "select count(*)::int as n from pgboss.job where name = $1 and state = any ($2::pgboss.job_state[])";
    const { rows } = await pool.query(statement, [QUEUE, states]);
    return rows[0].n;
  };
  return {
    setUp: async () => (await client()).createQueue(QUEUE, { notify: tuned }),
    enqueue: async (job) => (await client()).send(QUEUE, job),
    enqueueMany: async (jobs) => (await client()).insert(QUEUE, jobs.map((data) => ({ data }))),
    work: async (started) => {
      const worker = await client();
      await worker.work(QUEUE, tuned ? TUNED : {}, async (jobs) => jobs.forEach(({ data }) => started(data)));
      return () => worker.stop({ graceful: false });
    },
    unfinished: () => count(["created", "retry", "active"]),
    finished: () => count(["completed"]),
  };
}
