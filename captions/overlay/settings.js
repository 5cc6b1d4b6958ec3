/** The settings dialog: how captions look, and whose they are. Loaded when it is first opened. */

import "./dialog-styles.js";
import { savedName, saveName } from "./guest.js";
import { OPTIONS } from "./options.js";
import { SETTINGS_TEXTS } from "./settings-texts.js";
import { pick } from "./texts.js";

const UNITS = { size: " px", background: " %" };

/** `on.options(options)` is called at each change, `on.meeting({room, key})` when the dialog is closed. */
export class Settings {
  #dialog = make("dialog", { id: "settings" });
  #title = make("h2", { id: "settings-title" });
  #look = make("legend");
  #meeting = make("legend");
  #reset = make("button", { type: "button" });
  #done = make("button", { className: "main", value: "done" });
  #options = new Map(Object.entries(OPTIONS).map(([name, option]) => [name, fieldFor(option)]));
  #fields = new Map(
    Object.entries({
      room: make("input", { required: true, maxLength: 128 }),
      name: make("input", { maxLength: 80, autocomplete: "name" }),
      key: make("input", { type: "password", autocomplete: "off" }),
    }),
  );
  #titles = new Map();
  #texts = {};
  #shown = {};
  #preview = make("live-captions", { className: "preview", ariaHidden: "true" });

  constructor(on) {
    this.#dialog.setAttribute("aria-labelledby", this.#title.id);
    const look = make("fieldset", {}, this.#look, ...this.#rows(this.#options));
    const meeting = make("fieldset", {}, this.#meeting, ...this.#rows(this.#fields));
    const ends = make("p", { className: "ends" }, this.#reset, this.#done);
    this.#dialog.append(make("form", { method: "dialog" }, this.#title, this.#preview, look, meeting, ends));
    look.addEventListener("input", () => on.options(this.#chosen()));
    this.#reset.addEventListener("click", () => on.options(null));
    this.#dialog.addEventListener("close", () => {
      if (this.#dialog.returnValue !== "done") return;
      const { name, ...meeting } = Object.fromEntries([...this.#fields].map(([name, { value }]) => [name, value.trim()]));
      saveName(name);
      on.meeting(meeting);
    });
    document.body.append(this.#dialog);
  }

  open(meeting) {
    for (const [name, field] of this.#fields) field.value = { name: savedName(), ...meeting }[name];
    this.#dialog.returnValue = "";
    this.#dialog.showModal();
    this.#showPreview();
  }

  /** Put these options into the form, in that language. */
  show(options, lang) {
    const texts = pick(SETTINGS_TEXTS, lang);
    this.#texts = texts;
    this.#shown = options;
    if (this.#dialog.open) this.#showPreview();
    this.#title.textContent = texts.settings;
    this.#look.textContent = texts.look;
    this.#meeting.textContent = texts.meeting;
    this.#reset.textContent = texts.reset;
    this.#done.textContent = texts.done;
    for (const [name, title] of this.#titles) title.textContent = texts[name];
    for (const [name, field] of this.#options) {
      for (const choice of field.options ?? []) choice.textContent = texts[choice.value];
      field[field.type === "checkbox" ? "checked" : "value"] = options[name];
      if (field.type === "range") field.nextSibling.value = `${field.value}${UNITS[name] ?? ""}`;
    }
  }

  #showPreview() {
    this.#preview.options = { ...this.#shown, linger: "replaced", announce: false, position: "bottom" };
    this.#preview.preview(this.#texts.sampleName, this.#texts.sampleText);
  }

  #rows(fields) {
    return [...fields].map(([name, field]) => {
      const title = make("span");
      field.name = name;
      this.#titles.set(name, title);
      return make("label", {}, title, field, ...(field.type === "range" ? [make("output")] : []));
    });
  }

  #chosen() {
    const value = ([name, field]) => [
      name,
      field.type === "checkbox" ? field.checked : (OPTIONS[name].read(field.value) ?? OPTIONS[name].initial),
    ];
    return Object.fromEntries([...this.#options].map(value));
  }
}

/** A list, a slider, a line or a tick, as the option demands. */
function fieldFor({ values, min, max, pattern }) {
  if (pattern) return make("input", { pattern, placeholder: "system-ui" });
  if (values) return make("select", {}, ...values.map((value) => make("option", { value })));
  return min === undefined ? make("input", { type: "checkbox" }) : make("input", { type: "range", min, max });
}

function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
