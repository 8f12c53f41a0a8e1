// Queues for Node under the same measurement as ours.
//
// node peer.mjs NAME-stock|NAME-tuned URL ROLE...

import { play } from "./roles.mjs";

const OPEN = {
  bullmq: () => import("./bullmq.mjs"),
  "graphile-worker": () => import("./graphile-worker.mjs"),
  "pg-boss": () => import("./pg-boss.mjs"),
};

const [subject, url, ...role] = process.argv.slice(2);
const [, name, settings] = /^(.*)-(stock|tuned)$/.exec(subject ?? "") ?? [];
if (!(name in OPEN) || role.length === 0) {
  process.stderr.write("usage: node peer.mjs NAME-stock|NAME-tuned URL ROLE...\n");
  process.exit(2);
}
const { open } = await OPEN[name]();
await play(await open(url, settings === "tuned"), role);
// Pools and timers of the libraries would keep the process alive.
process.exit(0);
