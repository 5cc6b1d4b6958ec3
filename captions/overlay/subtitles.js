/** What was said, as a file: WebVTT (https://www.w3.org/TR/webvtt1/), SRT or text. Times count from the first words. */

import { filled, lengthOf, message } from "./messages.js";
import { endOf, speakerOf, startOf } from "./transcript.js";

const SHORTEST_CUE_MS = 1_000;

export const FILE_TYPES = { vtt: "text/vtt", srt: "application/x-subrip", txt: "text/plain" };

/** Cues {speaker, text, from, to} in ms, in order of time; what is missing is said in that language. */
export function cuesOf(transcript, lang) {
  const origin = transcript.said.length > 0 ? startOf(transcript.said[0]) : 0;
  return transcript.said.map((caption) => {
    const from = startOf(caption) - origin;
    const to = endOf(caption) - origin;
    const text = caption.text ?? filled(message("uncaptioned", lang), lengthOf(from, to));
    return { speaker: speakerOf(caption), text, from, to: Math.max(to, from + SHORTEST_CUE_MS) };
  });
}

const RENDER = {
  txt: (cues) => cues.map(({ speaker, text }) => `${speaker}: ${text}\n`).join(""),
  srt: (cues) =>
    cues.map((cue, i) => `${i + 1}\n${span(cue, ",")}\n${cue.speaker}: ${cue.text}\n`).join("\n"),
  vtt: (cues) =>
    ["WEBVTT\n", ...cues.map((cue) => `${span(cue, ".")}\n<v ${escape(cue.speaker)}>${escape(cue.text)}\n`)].join("\n"),
};

/** `form`: "vtt", "srt" or "txt". */
export function render(cues, form) {
  return RENDER[form](cues);
}

function span({ from, to }, point) {
  return `${clock(from, point)} --> ${clock(to, point)}`;
}

function clock(ms, point) {
  const whole = new Date(Math.round(ms)).toISOString();
  const hours = String(Math.floor(Math.round(ms) / 3_600_000)).padStart(2, "0");
  return `${hours}:${whole.slice(14, 19)}${point}${whole.slice(20, 23)}`;
}

function escape(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
