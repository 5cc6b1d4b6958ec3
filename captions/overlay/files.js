/** What was said, to the clipboard and to files: the page's own transcript, or the server's. */

import { cuesOf, FILE_TYPES, render } from "./subtitles.js";

/** Whether it could be copied. */
export async function copy(transcript) {
  try {
    await navigator.clipboard.writeText(render(cuesOf(transcript), "txt"));
    return true;
  } catch {
    return false; // Not allowed by the reader or the page around ours.
  }
}

/** Save as `form`; `server` is {base, room, key} to take the server's transcript. Whether there was one. */
export async function download(transcript, form, server, room) {
  const blob = server
    ? await fromServer(server, form)
    : new Blob([render(cuesOf(transcript), form)], { type: FILE_TYPES[form] });
  if (blob === null) return false;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${room}.${form}`;
  link.click();
  URL.revokeObjectURL(link.href);
  return true;
}

async function fromServer({ base, room, key }, form) {
  const route = new URL(`v1/rooms/${encodeURIComponent(room)}/transcript.${form}`, base);
  const answer = await fetch(route, { headers: key ? { Authorization: `Bearer ${key}` } : {} });
  return answer.ok ? answer.blob() : null;
}
