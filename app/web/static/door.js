// The door: every card is noted on this device first, then sent; what the server says of it is shown in large letters.

import { setUpCamera } from "./camera.js";
import { forgetRefused, keepState, knownState, note, refuse, refused, sent, waiting } from "./door_queue.js";
import { isMuted, play, setMuted } from "./till_sound.js";
import { watchTyping } from "./till_typing.js";

const SHOWN_FOR = { good: 6000, reward: 12000, again: 6000, noted: 5000, bad: 8000 }; // milliseconds
const SOUNDS = { good: "good", reward: "reward", again: "noted", noted: "noted", bad: "bad" };
const SAME_CARD = 4000; // a card that is still held there is not another visit
const PATIENCE = 2500; // after which a visit is said to be noted, whatever comes of it
const STILL_THERE = 15000; // so long somebody waits for what comes of a card
const TIMEOUT = 10000;
const RETRY = 5000;

const at = (id) => document.getElementById(id);
const { worker, scope, state: stateAddress, visits: visitsAddress } = at("door-script").dataset;
const language = document.documentElement.lang;
const number = new Intl.NumberFormat(language);
const moment = new Intl.DateTimeFormat(language === "en" ? "en-GB" : language, { dateStyle: "short", timeStyle: "short" });
const filled = (pattern, values) => pattern.replace(/%\((\w+)\)s/g, (_, name) => values[name]);

const panel = at("panel");
const box = at("code");
let state = knownState(); // for whom this door counts; its token is asked for anew on every page
let token = "";
let last = { code: "", seen: 0, key: "" };
let calmAt = 0;
let sending = false;
let again = false;

// What is shown

function show(outcome, headline, more) {
  panel.dataset.outcome = outcome;
  at("headline").textContent = headline;
  at("more").replaceChildren(...more.map((line) => Object.assign(document.createElement("p"), { textContent: line })));
  clearTimeout(calmAt);
  if (outcome === "ready" || outcome === "asking") return;
  at("announce").textContent = [headline, ...more].join(". ");
  play(SOUNDS[outcome]);
  calmAt = setTimeout(() => show("ready", panel.dataset.ready, [panel.dataset.readyMore]), SHOWN_FOR[outcome]);
}

function showNet(net) {
  at("net").dataset.net = net;
  at("net-words").textContent = at("net").dataset[net] ?? "";
}

/** Which sign-in is missing, if any: "signedOut", "forbidden", "off", or "" for none. */
function showNotice(kind) {
  const count = own().length;
  const words = kind === "signedOut" && count ? "signInAgain" : kind;
  at("notice").hidden = !kind;
  at("sign-in").hidden = kind === "off";
  at("notice").dataset.kind = kind;
  if (kind) at("notice-words").textContent = filled(at("notice").dataset[words], { n: number.format(count) });
}

const own = () => waiting().filter((visit) => visit.program === state?.program.id);

function showCounts() {
  const others = waiting().filter((visit) => visit.program !== state?.program.id);
  const { words, elsewhere } = at("waiting").dataset;
  const lines = [];
  if (own().length) lines.push(filled(words, { n: number.format(own().length) }));
  for (const name of new Set(others.map((visit) => visit.programName))) {
    const count = others.filter((visit) => visit.programName === name).length;
    lines.push(filled(elsewhere, { name, n: number.format(count) }));
  }
  at("waiting").hidden = lines.length === 0;
  at("waiting").textContent = lines.join(" | ");
  if (!at("notice").hidden) showNotice(at("notice").dataset.kind);
  showRefused();
}

function showRefused() {
  const list = refused().filter((visit) => visit.program === state?.program.id);
  at("refused").hidden = list.length === 0;
  at("refused-words").textContent = filled(at("refused-words").dataset.words, { n: number.format(list.length) });
  const pattern = at("refused-list").dataset.card;
  at("refused-list").replaceChildren(
    ...list.map((visit) => {
      const line = document.createElement("li");
      const when = moment.format(new Date(visit.at));
      line.append(filled(pattern, { end: visit.end, when }), document.createElement("br"), visit.why);
      return line;
    }),
  );
}

function showState() {
  at("shop").textContent = state?.program.name ?? "";
  const places = state?.places ?? [];
  at("place-label").hidden = places.length < 2;
  const unknown = state?.place ? [] : [new Option(at("place").dataset.choose, "")];
  const known = places.map(({ id, name }) => new Option(name, id, false, id === state.place));
  at("place").replaceChildren(...unknown, ...known);
}

// Telling the server

async function ask(address, options = {}) {
  const headers = { Accept: "application/json", ...options.headers };
  return fetch(address, { ...options, headers, redirect: "manual", signal: AbortSignal.timeout(TIMEOUT) });
}

/** Ask who is signed in. True when visits can be sent. */
async function learn() {
  const answer = await ask(stateAddress);
  if (answer.type === "opaqueredirect" || answer.status === 403) {
    showNotice(answer.status === 403 ? "forbidden" : "signedOut");
    return false;
  }
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  const { csrf, ...told } = await answer.json();
  token = csrf;
  const chosen = state?.program.id === told.program.id ? state.place : "";
  const place = told.places.some(({ id }) => id === chosen) ? chosen : told.place;
  state = { ...told, place };
  keepState(state);
  showState();
  showNotice(told.active ? "" : "off");
  showCounts();
  return told.active;
}

/** Send one visit. True when it is dealt with, false when nobody may send now. Throws when it is to be sent later. */
async function send(visit) {
  const body = new URLSearchParams({
    code: visit.code,
    at: visit.at,
    clock: new Date().toISOString(),
    location_id: visit.place,
    key: visit.key,
  });
  const answer = await ask(visitsAddress, { method: "POST", headers: { "X-CSRFToken": token }, body });
  if (answer.type === "opaqueredirect" || answer.status === 400) {
    token = "";
    return false;
  }
  const told = answer.ok || answer.status < 500 ? await answer.json() : {};
  if (!answer.ok && !told.refused) throw new Error(`status ${answer.status}`);
  if (told.refused) refuse(visit, told.headline);
  else sent(visit);
  if (visit.key === last.key && Date.now() - last.seen < STILL_THERE) show(told.outcome, told.headline, told.more);
  return true;
}

/** Send all that waits, in order, one at a time, and by one window only. */
async function flush() {
  if (sending) {
    again = true;
    return;
  }
  sending = true;
  try {
    if (navigator.locks) await navigator.locks.request("leima-door", sendAll);
    else await sendAll();
    showNet("online");
  } catch {
    showNet(navigator.onLine ? "busy" : "offline");
    noteLast();
  }
  sending = false;
  showCounts();
  if (again) {
    again = false;
    flush();
  }
}

async function sendAll() {
  let tries = 2; // the second with a token of its own
  while (tries--) {
    if (!token && !(await learn())) return noteLast();
    let current = own()[0];
    while (current && (await send(current))) {
      showCounts();
      current = own()[0];
    }
    if (!current) return;
  }
  noteLast();
}

/** The last card was noted, and that is all that can be said of it now. */
function noteLast() {
  if (panel.dataset.outcome === "asking") show("noted", panel.dataset.noted, [panel.dataset.notedMore]);
}

// Cards

function scan(text) {
  const code = text.replace(/\p{Cc}/gu, "").trim();
  if (!code) return;
  const now = Date.now();
  const same = code === last.code && now - last.seen < SAME_CARD;
  last.seen = now;
  if (same) return;
  if (!state) return show("bad", panel.dataset.unknown, [panel.dataset.unknownMore]);
  try {
    last = { code, seen: now, key: note({ code, program: state.program, place: state.place }).key };
  } catch {
    return show("bad", panel.dataset.full, [panel.dataset.fullMore]);
  }
  show("asking", panel.dataset.asking, []);
  if (at("net").dataset.net !== "online" || !token) noteLast();
  else setTimeout(() => last.code === code && noteLast(), PATIENCE);
  showCounts();
  flush();
}

at("find").addEventListener("submit", (event) => {
  event.preventDefault();
  scan(box.value);
  box.value = "";
});
watchTyping({ box, form: at("find"), onEmptyEnter: () => {}, isLeaving: () => false });
// On a touch screen the keyboard would cover the page; it comes when somebody touches the box.
if (matchMedia("(pointer: coarse)").matches) {
  box.inputMode = "none";
  box.addEventListener("pointerdown", () => (box.inputMode = "text"));
  box.addEventListener("blur", () => (box.inputMode = "none"));
}

setUpCamera({ open: at("camera-open"), panel: at("camera"), token: () => token, onText: scan, keepOpen: true });

at("place").addEventListener("change", () => {
  state.place = at("place").value;
  keepState(state);
});

at("refused-clear").addEventListener("click", () => {
  forgetRefused();
  showCounts();
  box.focus();
});

// The screen stays on, and whole

async function stayAwake() {
  if (document.visibilityState === "visible") await navigator.wakeLock?.request("screen").catch(() => null);
}

if (document.fullscreenEnabled) {
  at("whole-screen").hidden = false;
  at("whole-screen").addEventListener("click", () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else document.documentElement.requestFullscreen();
    box.focus();
  });
}

const mute = at("mute");
const showMuted = () => mute.setAttribute("aria-pressed", String(isMuted()));
mute.hidden = false;
showMuted();
mute.addEventListener("click", () => {
  setMuted(!isMuted());
  showMuted();
  box.focus();
});

// The network comes and goes; other windows note and send, too.
addEventListener("online", flush);
addEventListener("offline", () => showNet("offline"));
addEventListener("storage", showCounts);
document.addEventListener("visibilitychange", () => {
  stayAwake();
  flush();
});
setInterval(() => {
  if (at("net").dataset.net !== "online" || !token || own().length) flush();
}, RETRY);

navigator.storage?.persist?.();
navigator.serviceWorker?.register(worker, { scope }).catch(() => null);
showState();
showCounts();
stayAwake();
flush();
box.focus();
