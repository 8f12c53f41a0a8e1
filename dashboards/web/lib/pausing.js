// Pausing needs a reason and, better, an end.
import { del, put } from "./api.js";
import { act, ask } from "../parts/dialog.js";
import { now } from "./live.js";

const ENDS = [["900", "in 15 minutes"], ["3600", "in an hour"], ["14400", "in 4 hours"], ["86400", "in a day"], ["", "when somebody resumes it"]];

/** @param {{ queue?: string, kind?: string, tenant_id?: string }} [what] asked for if it is left out */
export async function pause(what) {
  const named = what && Object.values(what).filter(Boolean).join(", ");
  const answer = await ask({
    title: named ? `Pause ${named}?` : "Pause jobs", verb: "Pause", reason: true, needed: true,
    text: "Nothing of it is started any more, in any process, within a second. What runs is left to finish.",
    fields: [
      ...(what ? [] : [{ name: "queue", label: "Queue" }, { name: "kind", label: "Kind" }, { name: "tenant_id", label: "Tenant", hint: "Jobs that match all that is given; at least one." }]),
      { name: "end", label: "It ends", options: ENDS, value: "3600" },
    ],
  });
  if (!answer) return;
  const until = answer.end ? new Date(now() + Number(answer.end) * 1000).toISOString() : undefined;
  const of = what ?? { queue: answer.queue.trim() || undefined, kind: answer.kind.trim() || undefined, tenant_id: answer.tenant_id.trim() || undefined };
  await act(() => put("/v1/pauses", { ...of, reason: answer.reason, until }), "It is paused.");
}

export async function resume({ queue, kind, tenant_id }) {
  await act(() => del("/v1/pauses", { queue, kind, tenant_id }), "It goes on.");
}
