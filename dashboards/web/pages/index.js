// Every page by its address.
import { Audit } from "./audit.js";
import { Backups } from "./backups.js";
import { Errors } from "./errors.js";
import { Flow } from "./flow.js";
import { Flows } from "./flows.js";
import { Job } from "./job.js";
import { Jobs } from "./jobs.js";
import { Message } from "./message.js";
import { Messages } from "./messages.js";
import { Outbox } from "./outbox.js";
import { Overview } from "./overview.js";
import { Quarantine } from "./quarantine.js";
import { Queue } from "./queue.js";
import { Queues } from "./queues.js";
import { Schedule } from "./schedule.js";
import { Schedules } from "./schedules.js";
import { System } from "./system.js";
import { Workers } from "./workers.js";

/** @type {Array<[string, any]>} */
export const PAGES = [
  ["/", Overview], ["/sign-in", Overview], ["/jobs", Jobs], ["/jobs/:id", Job], ["/errors", Errors],
  ["/queues", Queues], ["/queues/:name", Queue], ["/schedules", Schedules], ["/schedules/:name", Schedule],
  ["/flows", Flows], ["/flows/:id", Flow], ["/messages", Messages], ["/messages/:id", Message], ["/outbox", Outbox],
  ["/quarantine", Quarantine], ["/backups", Backups], ["/workers", Workers], ["/system", System], ["/audit", Audit],
];
