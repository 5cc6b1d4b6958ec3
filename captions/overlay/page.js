/** The page to try the service: puts together captions, voices, history, latency and settings, each loaded at its first use. */

import "./live-captions.js";
import { filled, language, languageNames } from "./messages.js";
import { DEFAULTS, saveOptions, savedOptions } from "./options.js";
import { translate } from "./texts.js";
import { rememberToken, takeToken } from "./token.js";

const base = new URL(".", document.baseURI);
const query = new URLSearchParams(location.search);
const the = (id) => document.getElementById(id);

const captions = document.querySelector("live-captions");

let token = takeToken();
let room = query.get("room") || "demo";
let options = { ...DEFAULTS, ...savedOptions() };
let texts = {};
let heard = [];
let gaps = [];
let ahead = null;
const loaded = { history: null, latency: null, people: null, settings: null, speaking: null };

const where = () => ({ base, key: token, room, codec: query.get("codec") });
const lang = () => document.documentElement.lang;
const large = () => document.body.classList.contains("large");

function setOptions(changed) {
  options = changed;
  captions.options = options;
  the("history").style.setProperty("--reading", `${large() ? options.size : (16 * options.size) / DEFAULTS.size}px`);
  const chosen = language(options.lang);
  document.documentElement.lang = chosen;
  texts = translate(document, chosen);
  the("language").lang = chosen === "en" ? "fr" : "en";
  loaded.settings?.show(options, chosen);
  loaded.history?.speak(texts, chosen);
  if (loaded.speaking) loaded.speaking.lang = chosen;
  if (loaded.latency) loaded.latency.lang = chosen;
  tellLanguages();
}

/** What is said and what was, in the chosen size, and nothing else: for a second screen. */
function setLarge(wanted) {
  document.body.classList.toggle("large", wanted);
  the("large").setAttribute("aria-pressed", wanted);
  setOptions(options);
}

function tellLanguages() {
  const names = languageNames(heard, lang());
  the("hears").textContent = names && filled(texts.hears, names);
}

function choose(changed) {
  saveOptions(changed);
  setOptions(changed);
}

function enterRoom() {
  if (token) captions.setAttribute("token", token);
  else captions.removeAttribute("token");
  captions.setAttribute("room", room);
  const address = new URL(location);
  address.searchParams.set("room", room);
  history.replaceState(history.state, "", address);
  gaps = [];
  loaded.people?.clear();
  if (loaded.history) loaded.history.transcript = captions.transcript;
  the("invitation").hidden = false;
}

/** The part of that name, made at its first use; null while the server is away: the next use tries again. */
async function part(name, load, make) {
  const module = loaded[name] ? null : await load().catch(() => null);
  if (module) loaded[name] ??= make(module);
  return loaded[name];
}

async function draw() {
  const history = await part(
    "history",
    () => import("./history.js"),
    ({ History }) => {
      const made = new History(the("history"), (caption) => captions.nameOf(caption));
      made.transcript = captions.transcript;
      made.speak(texts, lang());
      return made;
    },
  );
  history?.draw(gaps);
}

async function meetPerson(caption) {
  const people = await part(
    "people",
    () => import("./people.js"),
    ({ People }) => new People(the("people")),
  );
  people?.heard(caption, captions.nameOf(caption));
}

async function measure(figures) {
  const latency = await part(
    "latency",
    () => import("./latency-chart.js"),
    ({ LatencyChart }) => Object.assign(new LatencyChart(the("latency")), { lang: lang() }),
  );
  latency?.add(figures);
}

async function press(name) {
  const speaking = await part(
    "speaking",
    () => import("./speaking.js"),
    ({ Speaking }) => Object.assign(new Speaking(the, where, captions), { lang: lang() }),
  );
  if (speaking) speaking.press(name);
  else the("status").textContent = texts.unreachable;
}

/** Once there is something to keep, all is here to keep it with, should the server go. */
function loadAhead() {
  ahead ??= new Promise((resolve) => (globalThis.requestIdleCallback ?? setTimeout)(resolve))
    .then(() => Promise.all(["files", "scrollback", "settings"].map((name) => import(`./${name}.js`))))
    .catch(() => (ahead = null)); // Offline: the next caption tries again.
}

/** What was said before we came; what we missed, if we were here before. */
async function recall() {
  const { transcript } = captions;
  try {
    await (await import("./past.js")).recall(transcript, where());
  } catch {
    return; // The server has what the connection will bring.
  }
  if (transcript === captions.transcript && transcript.said.length > 0) draw();
}

function meet(meeting) {
  const moved = meeting.room !== room || meeting.key !== token;
  ({ room, key: token } = meeting);
  if (!moved) return;
  rememberToken(token);
  loaded.speaking?.stop();
  enterRoom();
}

function show(caption, old) {
  the("invitation").hidden = true;
  if (!old) {
    meetPerson(caption);
    import("./awake.js").then(({ stayAwake }) => stayAwake(), () => {});
  }
  loadAhead();
}

captions.addEventListener("segment", ({ detail: { segment, old } }) => {
  show(segment, old);
  if (!old) measure(segment.latency);
  if (segment.final) draw();
});

captions.addEventListener("uncaptioned", ({ detail: { uncaptioned, old } }) => {
  show(uncaptioned, old);
  draw();
});

captions.addEventListener("watching", ({ detail: { languages } }) => {
  heard = languages;
  tellLanguages();
});

captions.addEventListener("connection", ({ detail: { state, gap } }) => {
  if (gap) {
    gaps.push(gap);
    draw();
  }
  if (state === "open") recall();
});

for (const name of ["speak", "sample"]) the(name).addEventListener("click", () => press(name));

the("large").addEventListener("click", () => setLarge(!large()));

addEventListener("keydown", ({ key }) => {
  if (key === "Escape" && large()) setLarge(false);
});

the("links").addEventListener("click", async () => {
  const { showLinks } = (await import("./links.js").catch(() => null)) ?? {};
  if (showLinks) showLinks(where(), options, lang());
  else the("status").textContent = texts.unreachable;
});

the("language").addEventListener("click", () => {
  choose({ ...options, lang: language(options.lang) === "en" ? "fr" : "en" });
});

the("settings-button").addEventListener("click", async () => {
  const settings = await part(
    "settings",
    () => import("./settings.js"),
    ({ Settings }) => new Settings({ options: (changed) => choose(changed ?? DEFAULTS), meeting: meet }),
  );
  settings?.show(options, lang());
  if (settings) settings.open({ room, key: token });
  else the("status").textContent = texts.unreachable;
});

the("files").addEventListener("click", async ({ target: { id, dataset } }) => {
  if (id !== "copy" && !dataset.form) return;
  const server = the("from-server").checked ? where() : null;
  const save = ({ copy, download }) =>
    id === "copy" ? copy(captions.transcript, lang()) : download(captions.transcript, dataset.form, server, room, lang());
  the("status").textContent = await import("./files.js").then(save).catch(() => texts.unreachable);
});

setLarge(query.get("view") === "large");
enterRoom();
