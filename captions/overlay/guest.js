/** What others call whoever speaks from this page: asked for once and kept in this browser. */

import "./dialog-styles.js";

const STORE = "captions.name";
const LONGEST = 80;

/** Nobody is called "You" by others. */
const guest = 100 + Math.floor(Math.random() * 900);

/** The name given before, "" if none was. */
export function savedName() {
  try {
    return localStorage.getItem(STORE) ?? "";
  } catch {
    return ""; // Storage is closed to us.
  }
}

export function saveName(name) {
  try {
    localStorage.setItem(STORE, name);
  } catch {
    // It is then asked for again after a reload.
  }
}

/** Ask for a name; null if the visitor would rather not speak after all. Without one others read "Guest 123". */
export function askName(texts) {
  const name = make("input", { maxLength: LONGEST, autocomplete: "name", placeholder: guestName(texts) });
  const speak = make("button", { className: "main", value: "speak", textContent: texts.speak });
  const cancel = make("button", { value: "", formNoValidate: true, textContent: texts.cancel });
  const label = make("label", {}, make("span", { textContent: texts.name }), name);
  const why = make("p", { className: "quiet", textContent: texts.nameWhy });
  const form = make("form", { method: "dialog" }, label, why, make("p", { className: "ends" }, speak, cancel));
  const dialog = make("dialog", { ariaLabel: texts.who }, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "speak" ? name.value.trim() : null);
    });
  });
}

export function guestName(texts) {
  return `${texts.guest} ${guest}`;
}

function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
