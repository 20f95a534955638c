// What this tab remembers, under the endpoint's own path: previews of an API share one origin, and so one storage.
import * as TEXT from "./text.js";

export const BASE = location.pathname.replace(/\/+$/, "");

const key = (name) => `eep:${BASE}:${name}`;
const MOST_ENTRIES = 20;
const MOST_ENTRY = 20_000;
const MOST_LINK = 8_192;

/** Storage can be switched off, or full: the page then only forgets. */
function stored(action) {
  try {
    return action(sessionStorage);
  } catch {
    return null;
  }
}

export const token = {
  get: () => stored((storage) => storage.getItem(key("token"))) ?? "",
  set: (value) => stored((storage) => storage.setItem(key("token"), value)),
  forget: () => stored((storage) => storage.removeItem(key("token"))),
};

export const history = {
  all: () => stored((storage) => JSON.parse(storage.getItem(key("history")))) ?? [],
  add(entry) {
    const small = JSON.stringify(entry).length <= MOST_ENTRY ? entry : { ...entry, answers: [], text: null, note: TEXT.tooLarge };
    const entries = [small, ...history.all()].slice(0, MOST_ENTRIES);
    stored((storage) => storage.setItem(key("history"), JSON.stringify(entries)));
  },
  clear: () => stored((storage) => storage.removeItem(key("history"))),
};

/** Take token and request out of the fragment, which no server sees, and the token out of the address bar and the browser's history. */
export function fromFragment() {
  const parts = new URLSearchParams(location.hash.slice(1));
  if (parts.has("t")) {
    token.set(parts.get("t"));
    parts.delete("t");
    const rest = parts.toString();
    window.history.replaceState(null, "", BASE + location.search + (rest ? `#${rest}` : ""));
  }
  return parts.has("r") ? decoded(parts.get("r")) : null;
}

/** The address of a request, without the token; null if it is too long. */
export function linkOf(request) {
  const bytes = new TextEncoder().encode(JSON.stringify(request));
  if (bytes.length > MOST_LINK) return null;
  const text = btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  return `${location.origin}${BASE}#r=${text}`;
}

function decoded(text) {
  try {
    const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (each) => each.charCodeAt(0));
    const { type, text: body, mode } = JSON.parse(new TextDecoder().decode(bytes));
    return typeof body === "string" && typeof type === "string" ? { type, text: body, mode: String(mode) } : null;
  } catch {
    return null;
  }
}
