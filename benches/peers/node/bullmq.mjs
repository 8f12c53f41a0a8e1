// BullMQ on Redis. By default it keeps what is done for ever.
//
// Tuned: 100 jobs at once, the middle of what its docs recommend (100 to 300), and what is done goes.

import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";

const QUEUE = "noop";

export function open(url, tuned) {
  // What its docs ask of a worker's connection.
  const connect = () => new Redis(url, { maxRetriesPerRequest: null });
  const queue = new Queue(QUEUE, {
    connection: connect(),
    defaultJobOptions: tuned ? { removeOnComplete: true } : {},
  });
  return {
    setUp: async () => {
      await queue.waitUntilReady();
    },
    enqueue: (job) => queue.add("noop", job),
    enqueueMany: (jobs) => queue.addBulk(jobs.map((data) => ({ name: "noop", data }))),
    work: async (started) => {
      const worker = new Worker(QUEUE, async (job) => started(job.data), {
        connection: connect(),
        ...(tuned ? { concurrency: 100 } : {}),
      });
      worker.on("error", (error) => process.stderr.write(`bullmq: ${error.message}\n`));
      await worker.waitUntilReady();
      return () => worker.close();
    },
    unfinished: async () => {
      const counts = await queue.getJobCounts("waiting", "active", "delayed", "prioritized");
      return Object.values(counts).reduce((sum, n) => sum + n, 0);
    },
    finished: async () => (await queue.getJobCounts("completed")).completed,
  };
}
