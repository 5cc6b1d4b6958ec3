/** The dialog with the addresses of this room: its page, its overlay for OBS or a frame, and the markup for one's own page. */

import "./dialog-styles.js";
import { DEFAULTS } from "./options.js";
import { pick } from "./texts.js";

const TEXTS = {
  links: ["Links", "Liens"],
  page: ["This room", "Cette salle"],
  large: ["Its transcript, large, for a second screen", "Ses propos en grand, pour un second écran"],
  overlay: ["Captions alone, for OBS or a frame", "Les sous-titres seuls, pour OBS ou un cadre"],
  markup: ["For your own page", "Pour votre propre page"],
  key: [
    "Where the server wants a key, add #key=… to an address: it stays out of logs.",
    "Si le serveur demande une clé, ajoutez #key=… à l’adresse : elle n’entrera dans aucun journal.",
  ],
  copy: ["Copy", "Copier"],
  done: ["Done", "Terminé"],
};

/** Shown at once; the overlay looks as the captions do now. */
export function showLinks({ base, room }, options, lang) {
  const texts = pick(TEXTS, lang);
  const at = (path, query) => Object.assign(new URL(path, base), { search: new URLSearchParams({ room, ...query }) }).href;
  const chosen = Object.entries(options).filter(([name, value]) => value !== DEFAULTS[name]);
  const captions = new URL("live-captions.js", import.meta.url).href;
  const addresses = {
    page: at("", {}),
    large: at("", { view: "large" }),
    overlay: at("overlay", Object.fromEntries(chosen)),
    markup:
      `<script type="module" src="${captions}"></` +
      `script> <live-captions room="${room.replaceAll("&", "&amp;").replaceAll('"', "&quot;")}"></live-captions>`,
  };
  const rows = Object.entries(addresses).map(([name, address]) => row(texts[name], address, texts.copy));
  const done = make("button", { className: "main", value: "done", textContent: texts.done });
  const note = make("p", { className: "quiet", textContent: texts.key });
  const form = make("form", { method: "dialog" }, make("h2", { textContent: texts.links }), ...rows, note);
  form.append(make("p", { className: "ends" }, done));
  const dialog = make("dialog", { ariaLabel: texts.links }, form);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

function row(title, address, copy) {
  const field = make("input", { readOnly: true, value: address, ariaLabel: title });
  const button = make("button", { type: "button", textContent: copy });
  button.addEventListener("click", () => {
    field.select();
    navigator.clipboard?.writeText(address).catch(() => {}); // Selected, it can be copied by hand.
  });
  return make("div", { className: "link" }, make("span", { textContent: title }), field, button);
}

function make(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
