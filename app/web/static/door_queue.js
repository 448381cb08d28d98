// What a door has noted and not yet told the server. Each visit is an entry of its own in the browser's storage, so
// that two windows of the page never overwrite each other's; the moment leads its name, so that names sort by it.

const WAITING = "leima-door-waiting:";
const REFUSED = "leima-door-refused:";
const STATE = "leima-door-state";

const names = (prefix) => Object.keys(localStorage).filter((name) => name.startsWith(prefix)).sort();
const read = (name) => {
  try {
    return JSON.parse(localStorage.getItem(name));
  } catch {
    return null; // not ours, or half written by a browser that crashed
  }
};
const all = (prefix) => names(prefix).map((name) => ({ ...read(name), name })).filter((visit) => visit.key);

function newKey() {
  const random = crypto.getRandomValues(new Uint8Array(16));
  return [...random].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Keep a visit, with the key under which the server takes it once. Throws when the browser keeps nothing. */
export function note({ code, program, place }) {
  const at = new Date();
  const visit = { key: newKey(), code, program: program.id, programName: program.name, place, at: at.toISOString() };
  const name = `${WAITING}${String(at.getTime()).padStart(15, "0")}:${visit.key}`;
  localStorage.setItem(name, JSON.stringify(visit));
  return { ...visit, name };
}

/** Visits to be sent, the oldest first. */
export const waiting = () => all(WAITING);

/** The server has it. */
export const sent = (visit) => localStorage.removeItem(visit.name);

/** The server will never take it: what staff see of it is when, the end of the card's code, and why. */
export function refuse(visit, why) {
  const kept = { key: visit.key, at: visit.at, end: visit.code.slice(-4), program: visit.program, why };
  localStorage.setItem(visit.name.replace(WAITING, REFUSED), JSON.stringify(kept));
  sent(visit);
}

/** What was refused, the newest first. */
export const refused = () => all(REFUSED).reverse();
export const forgetRefused = () => names(REFUSED).forEach((name) => localStorage.removeItem(name));

/** For whom and where this door counts, as far as it was told the last time. */
export const knownState = () => read(STATE);
export const keepState = (state) => localStorage.setItem(STATE, JSON.stringify(state));
