/** What the page says, in English and French. */

const LANGUAGES = ["en", "fr"];

const TEXTS = {
  tagline: ["Live subtitles for meetings", "Sous-titres en direct pour vos réunions"],
  otherLanguage: ["Français", "English"],
  settings: ["Settings", "Réglages"],
  links: ["Links", "Liens"],
  large: ["Large", "En grand"],
  live: ["Live captions", "Sous-titres en direct"],
  people: ["Who speaks", "Qui parle"],
  invitation: ["Speak, or play the sample, and read along.", "Parlez ou lancez l’extrait, et lisez."],
  hears: ["This server hears: %s.", "Langue comprise par ce serveur : %s."],
  speak: ["Speak", "Parler"],
  sample: ["Play a sample", "Lire un extrait"],
  voices: ["Voices", "Voix"],
  history: ["History", "Historique"],
  search: ["Search what was said", "Chercher dans les propos"],
  copy: ["Copy", "Copier"],
  download: ["Download", "Télécharger"],
  fromServer: ["from the server", "depuis le serveur"],
  nothing: ["What is said will stand here.", "Ce qui est dit s’inscrira ici."],
  latency: ["Latency, last minute", "Latence, dernière minute"],
  latencyNone: ["Shown once somebody has spoken.", "Visible dès que quelqu’un aura parlé."],
  unreachable: [
    "The server cannot be reached, or wants a key (Settings).",
    "Le serveur est injoignable ou demande une clé (Réglages).",
  ],
};

/** The column of a language ("en", "fr") of such a table. */
export function pick(table, lang) {
  const column = LANGUAGES.indexOf(lang);
  return Object.fromEntries(Object.entries(table).map(([key, texts]) => [key, texts[column]]));
}

/** The page's texts in that language, put into every element of `root` that asks for one. */
export function translate(root, lang) {
  const texts = pick(TEXTS, lang);
  for (const node of root.querySelectorAll("[data-t]")) node.textContent = texts[node.dataset.t];
  for (const node of root.querySelectorAll("[data-label]")) node.ariaLabel = texts[node.dataset.label];
  for (const node of root.querySelectorAll("[data-hint]")) node.placeholder = texts[node.dataset.hint];
  return texts;
}
