/** What was said, to the clipboard and to files: the page's own transcript, or the server's. Loaded ahead of its use. */

import { cuesOf, FILE_TYPES, render } from "./subtitles.js";

/** Whether it could be copied. */
export async function copy(transcript, lang) {
  try {
    await navigator.clipboard.writeText(render(cuesOf(transcript, lang), "txt"));
    return true;
  } catch {
    return false; // Not allowed by the reader or the page around ours.
  }
}

/**
 * Save as `form`; `server` is {base, room, key} to take the server's transcript. "" if that went well, else the name of
 * the text that says why not.
 */
export async function download(transcript, form, server, room, lang) {
  let file;
  try {
    file = server ? await fromServer(server, form, lang) : new Blob([render(cuesOf(transcript, lang), form)], { type: FILE_TYPES[form] });
  } catch {
    return "unreachable";
  }
  if (file === null) return "notKept";
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = `${room}.${form}`;
  link.click();
  URL.revokeObjectURL(link.href);
  return "";
}

async function fromServer({ base, room, key }, form, lang) {
  const route = new URL(`v1/rooms/${encodeURIComponent(room)}/transcript.${form}?lang=${lang}`, base);
  const answer = await fetch(route, { headers: key ? { Authorization: `Bearer ${key}` } : {} });
  return answer.ok ? answer.blob() : null;
}
