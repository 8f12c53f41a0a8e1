// What the signed-in role may do. The server decides; this only says it before somebody tries.
import { session } from "./session.js";

/** Each may do what those before it may. */
const ROLES = ["viewer", "operator", "admin"];
/** The id of the element that says why what needs this role is disabled. */
export const why = (role) => `needs-${role}`;
/** What of the pages is for people who see all tenants. */
const FOR_ALL = new Set(["/", "/queues", "/schedules", "/quarantine", "/backups", "/workers", "/system"]);

const titled = (role) => `${role === "viewer" ? "a" : "an"} ${role}`;

/** Whether it may; yes while the server has not told yet, which then is who refuses. */
export function may(role) {
  const is = session.get()?.role;
  return !is || ROLES.indexOf(is) >= ROLES.indexOf(role);
}

/** Why not, in words. */
export const whyNot = (role) => `This needs ${titled(role)}; you are signed in as ${titled(session.get()?.role ?? "viewer")}.`;

/** For a button that does something: spread last, it disables the button for whoever may not, and says why. */
export const needs = (role) => (may(role) ? {} : { disabled: true, title: whyNot(role), "aria-describedby": why(role) });

/** Whether the signed-in sees all tenants; yes while the server has not told yet. */
export const seesAll = () => !session.get()?.tenant;

/** Whether the page shows anything to somebody who sees one tenant only. */
export const shows = (path) => seesAll() || !FOR_ALL.has(path);
