/** What was said, to the clipboard and to files: the page's own transcript, or the server's. Loaded ahead of its use. */

import { cuesOf, FILE_TYPES, render } from "./subtitles.js";
import { pick } from "./texts.js";

const TEXTS = {
  copied: ["Copied", "Copié"],
  failed: ["That did not work.", "Cela n’a pas fonctionné."],
  notKept: ["The server keeps no transcript of this room.", "Le serveur ne garde pas de transcription."],
};

/** What is to be said of it. */
export async function copy(transcript, lang) {
  try {
    await navigator.clipboard.writeText(render(cuesOf(transcript, lang), "txt"));
    return pick(TEXTS, lang).copied;
  } catch {
    return pick(TEXTS, lang).failed; // Not allowed by the reader or the page around ours.
  }
}

/** Save as `form`; `server` is {base, room, key} to take the server's transcript. What is to be said of it, if anything. */
export async function download(transcript, form, server, room, lang) {
  const file = server
    ? await fromServer(server, form, lang)
    : new Blob([render(cuesOf(transcript, lang), form)], { type: FILE_TYPES[form] });
  if (file === null) return pick(TEXTS, lang).notKept;
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
