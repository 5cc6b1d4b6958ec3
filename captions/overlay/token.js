/** The key in the page's address: taken out of it at once, so that it stays in no history, bookmark or screenshot. */

const STORE = "captions.key";

/** From `?key=`, `#key=` or what this tab was given before; "" if none. */
export function takeToken() {
  const url = new URL(location.href);
  const fragment = new URLSearchParams(url.hash.slice(1));
  const given = url.searchParams.get("key") ?? fragment.get("key");
  if (given === null) return remembered();
  url.searchParams.delete("key");
  fragment.delete("key");
  url.hash = fragment.toString();
  history.replaceState(history.state, "", url);
  rememberToken(given);
  return given;
}

/** Keep it until the tab is closed. */
export function rememberToken(token) {
  try {
    sessionStorage.setItem(STORE, token);
  } catch {
    // Storage is closed to us: it then has to be given again after a reload.
  }
}

/** When a token ends, in ms since 1970; a key never does. Only the server knows whether it is good. */
export function endOf(token) {
  return Number(claimsOf(token)?.exp) * 1_000 || Infinity;
}

/** As whom a token's holder speaks, undefined for a key. */
export function holderOf(token) {
  return claimsOf(token)?.sub;
}

function claimsOf(token) {
  try {
    const claims = atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(claims, (byte) => byte.charCodeAt(0))));
  } catch {
    return null;
  }
}

function remembered() {
  try {
    return sessionStorage.getItem(STORE) ?? "";
  } catch {
    return "";
  }
}
