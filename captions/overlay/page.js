/** The page to try the service: puts together captions, voices, history, latency and settings. */

import "./live-captions.js";
import { History } from "./history.js";
import { language } from "./messages.js";
import { DEFAULTS, saveOptions, savedOptions } from "./options.js";
import { translate } from "./texts.js";
import { rememberToken, takeToken } from "./token.js";
import { VoiceButton } from "./voice-button.js";

const base = new URL(".", document.baseURI);
const query = new URLSearchParams(location.search);
const the = (id) => document.getElementById(id);

const captions = document.querySelector("live-captions");
const history = new History(the("history"));

let token = takeToken();
let room = query.get("room") || "demo";
let options = { ...DEFAULTS, ...savedOptions() };
let texts = {};
let name = "";
let settings = null;
let latency = null;
let people = null;

const where = () => ({ base, key: token, room, codec: query.get("codec") });
const voices = [
  new VoiceButton(the("speak"), "speak", where, async (on) => {
    const { Microphone } = await import("./voices.js");
    return new Microphone(name || texts.you, on);
  }),
  new VoiceButton(the("sample"), "sample", where, async (on) => {
    const { Sample } = await import("./voices.js");
    return new Sample(Number(the("voices").value), on);
  }),
];

function setOptions(changed) {
  options = changed;
  captions.options = options;
  const lang = language(options.lang);
  settings?.show(options, lang);
  document.documentElement.lang = lang;
  texts = translate(document, lang);
  the("language").lang = lang === "en" ? "fr" : "en";
  if (latency) latency.lang = lang;
  history.speak(texts, lang);
  for (const voice of voices) voice.speak(texts, the("status"));
}

function choose(changed) {
  saveOptions(changed);
  setOptions(changed);
}

function enterRoom() {
  if (token) captions.setAttribute("token", token);
  else captions.removeAttribute("token");
  captions.setAttribute("room", room);
  people?.clear();
  history.transcript = captions.transcript;
  the("invitation").hidden = false;
}

async function meetPerson(segment) {
  const { People } = (await import("./people.js").catch(() => null)) ?? {};
  if (!People) return; // Offline: the next segment tries again.
  people ??= new People(the("people"));
  people.heard(segment);
}

async function measure(figures) {
  const { LatencyChart } = (await import("./latency-chart.js").catch(() => null)) ?? {};
  if (!LatencyChart) return; // Offline: the next figures try again.
  if (!latency) {
    latency = new LatencyChart(the("latency"));
    latency.lang = document.documentElement.lang;
  }
  latency.add(figures);
}

function meet(meeting) {
  const moved = meeting.room !== room || meeting.key !== token;
  ({ room, name, key: token } = meeting);
  if (!moved) return;
  rememberToken(token);
  for (const voice of voices) voice.stop();
  enterRoom();
}

captions.addEventListener("segment", ({ detail: { segment, old } }) => {
  the("invitation").hidden = true;
  if (!old) {
    meetPerson(segment);
    measure(segment.latency);
  }
  if (segment.final) history.draw();
});

captions.addEventListener("connection", ({ detail: { gap } }) => {
  if (gap) history.interrupt(gap);
});

the("language").addEventListener("click", () => {
  choose({ ...options, lang: language(options.lang) === "en" ? "fr" : "en" });
});

the("settings-button").addEventListener("click", async () => {
  const { Settings } = await import("./settings.js");
  settings ??= new Settings({ options: (changed) => choose(changed ?? DEFAULTS), meeting: meet });
  settings.show(options, language(options.lang));
  settings.open({ room, name, key: token });
});

the("files").addEventListener("click", async ({ target: { id, dataset } }) => {
  const { copy, download } = await import("./files.js");
  if (id === "copy") the("status").textContent = (await copy(captions.transcript)) ? texts.copied : texts.failed;
  if (!dataset.form) return;
  const saved = await download(captions.transcript, dataset.form, the("from-server").checked ? where() : null, room);
  the("status").textContent = saved ? "" : texts.notKept;
});

setOptions(options);
enterRoom();
