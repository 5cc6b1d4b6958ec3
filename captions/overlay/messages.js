/** What <live-captions> itself says, in English and French; %s stands for what is filled in. */

const LANGUAGES = ["en", "fr"];

const MESSAGES = {
  captions: ["Live captions", "Sous-titres en direct"],
  log: ["What was said", "Ce qui a été dit"],
  connecting: ["Connecting…", "Connexion…"],
  refused: [
    "The server cannot be reached, or wants a key. Trying again…",
    "Le serveur est injoignable ou demande une clé. Nouvel essai…",
  ],
  lost: ["Connection lost. Reconnecting…", "Connexion perdue. Reconnexion…"],
  ended: ["Your permission to read along has ended.", "Votre autorisation de lecture a pris fin."],
  blocked: [
    "This page’s policy (connect-src) keeps the captions out.",
    "La politique de cette page (connect-src) bloque les sous-titres.",
  ],
  hears: ["Captions for %s will stand here.", "Ici s’afficheront les sous-titres (%s)."],
  more: ["+%s speaking", "+%s voix"],
  back: ["Read back", "Relire"],
  you: ["You", "Vous"],
  uncaptioned: ["[not captioned: %s s]", "[non sous-titré : %s s]"],
  gap: ["Captions were interrupted for %s s", "Sous-titres interrompus pendant %s s"],
  colon: [":", " :"],
};

/** "en" or "fr": the one asked for, else the first of the browser's languages that we speak. */
export function language(asked) {
  const wanted = asked === "auto" ? navigator.languages : [asked];
  return wanted.map((tag) => tag.slice(0, 2).toLowerCase()).find((tag) => LANGUAGES.includes(tag)) ?? "en";
}

export function message(name, lang) {
  return MESSAGES[name][LANGUAGES.indexOf(lang)];
}

export function filled(text, value) {
  return text.replace("%s", value);
}

/** Whole seconds between two moments in ms, never none. */
export function lengthOf(from, to) {
  return Math.max(1, Math.round((to - from) / 1_000));
}

/** The languages that a server hears by their names, "" if it does not say. */
export function languageNames(tags, lang) {
  const names = new Intl.DisplayNames(lang, { type: "language" });
  return new Intl.ListFormat(lang).format(tags.filter((tag) => tag !== "und").map((tag) => names.of(tag)));
}
