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

/** A gap's length in whole seconds, never none. */
export function gapText(text, { from, to }) {
  return text.replace("%s", Math.max(1, Math.round((to - from) / 1_000)));
}
