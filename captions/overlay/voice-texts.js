/** What the page says of who speaks from it, in English and French. */

export const VOICE_TEXTS = {
  level: ["What the microphone hears", "Ce que le micro entend"],
  name: ["Your name", "Votre nom"],
  who: ["Who speaks?", "Qui parle ?"],
  nameWhy: ["So that others know who speaks.", "Pour que les autres sachent qui parle."],
  cancel: ["Cancel", "Annuler"],
  guest: ["Guest", "Invité"],
  listening: ["Listening: your words appear above.", "À l’écoute : vos mots s’affichent ci-dessus."],
  playing: ["Playing A Tale of Two Cities.", "Lecture de « A Tale of Two Cities »."],
  silent: [
    "Nothing is heard. Is the microphone on, and the right one?",
    "On n’entend rien. Le micro est-il allumé, est-ce le bon ?",
  ],
  noDevice: ["No microphone was found.", "Aucun micro n’a été trouvé."],
  unplugged: ["The microphone is gone.", "Le micro a été débranché."],
  insecure: [
    "Browsers give a page the microphone and sound only over https:// or on localhost. Ask for an https address.",
    "Les navigateurs ne donnent micro et son qu’en https:// ou sur localhost. Demandez une adresse https.",
  ],
  mayNotSpeak: [
    "This key may only read along, or is not the right one (Settings).",
    "Cette clé ne permet que de lire, ou n’est pas la bonne (Réglages).",
  ],
  full: ["The server has no room left. Try again later.", "Le serveur est complet. Réessayez plus tard."],
  noMicrophone: [
    "The microphone cannot be used. Allow it in the browser and try again.",
    "Micro inaccessible. Autorisez-le dans le navigateur et réessayez.",
  ],
  speak: ["Speak", "Parler"],
  sample: ["Play a sample", "Lire un extrait"],
  stop: ["Stop", "Arrêter"],
  failed: ["That did not work.", "Cela n’a pas fonctionné."],
  unreachable: [
    "The server cannot be reached, or wants a key (Settings).",
    "Le serveur est injoignable ou demande une clé (Réglages).",
  ],
};
