// An error that somebody knows of is nobody's concern for a while.
import { del, part, put } from "./api.js";
import { act, ask } from "../parts/dialog.js";
import { now } from "./live.js";

const ENDS = [["86400", "in a day"], ["604800", "in a week"], ["2592000", "in 30 days"], ["", "when somebody ends it"]];

export async function mute(group) {
  const answer = await ask({
    title: "Mute this error?", verb: "Mute", reason: true, text: group.message,
    fields: [{ name: "end", label: "It ends", options: ENDS, value: "604800" }],
  });
  if (!answer) return;
  const until = answer.end ? new Date(now() + Number(answer.end) * 1000).toISOString() : undefined;
  await act(() => put(`/v1/errors/${part(group.fingerprint)}/mute`, { until, reason: answer.reason || undefined }), "It is muted: what fails with it is counted no more as needing attention.");
}

export const unmute = (group) => act(() => del(`/v1/errors/${part(group.fingerprint)}/mute`), "It is muted no more.");
