/** /overlay: captions on nothing, for OBS and iframes. The query says which room and how they look. */

import "./live-captions.js";
import { language, message } from "./messages.js";
import { readOptions, savedOptions } from "./options.js";
import { takeToken } from "./token.js";

const token = takeToken();
const query = new URLSearchParams(location.search);
const captions = document.querySelector("live-captions");

captions.options = { ...savedOptions(), ...readOptions((name) => query.get(name)) };
document.documentElement.lang = language(captions.options.lang);
document.title = document.querySelector("h1").textContent = message("captions", document.documentElement.lang);
if (token) captions.setAttribute("token", token);
captions.setAttribute("room", query.get("room") ?? "demo");
