// What makes the till quick: one box, keys for everything, sounds. Without this file the page works as plain forms.

import { setUpCamera } from "./camera.js";
import { isMuted, play, setMuted } from "./till_sound.js";
import { watchTyping } from "./till_typing.js";

const MOST_STAMPS = 20;
const RETRY_AFTER = 6000; // milliseconds after which a form that got no answer may be sent again

const box = document.getElementById("code");
const findForm = document.getElementById("find");
const giveForm = document.getElementById("give");
const amount = document.getElementById("amount");
const bill = document.getElementById("bill");
const bonusBill = document.getElementById("bonus_bill");
const count = document.getElementById("count");
const digits = new Intl.NumberFormat(document.documentElement.lang, { useGrouping: false });
let leaving = false;

// One answer at a time: a second click or Enter while a form is on its way does nothing.
document.addEventListener("submit", (event) => {
  if (leaving) return event.preventDefault();
  leaving = true;
  const buttons = [...document.querySelectorAll("main button")].filter((button) => !button.disabled);
  setTimeout(() => buttons.forEach((button) => (button.disabled = true)));
  setTimeout(() => {
    leaving = false;
    buttons.forEach((button) => (button.disabled = false));
  }, RETRY_AFTER);
});

// A page that the browser kept would show an old balance.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

// The browser's own check would stop at the empty box before Enter on it could mean anything.
findForm.noValidate = true;
findForm.addEventListener("submit", (event) => {
  if (box.value.trim() === "") {
    event.preventDefault();
    event.stopPropagation();
    box.focus();
  }
}, true);

function give() {
  if (!giveForm || !("armed" in giveForm.dataset)) return;
  if (amount?.required && amount.value.trim() === "") amount.focus();
  else giveForm.requestSubmit();
}

watchTyping({ box, form: findForm, onEmptyEnter: give, isLeaving: () => leaving });

// Number of stamps
const countNow = () => {
  const plain = count.value.replace(/[۰-۹]/g, (digit) => String(digit.charCodeAt(0) - 0x6f0));
  return Number.parseInt(plain, 10) || 1;
};

function setCount(wanted) {
  if (!count) return;
  count.value = digits.format(Math.min(MOST_STAMPS, Math.max(1, wanted)));
  showTimes();
}

function showTimes() {
  const times = document.getElementById("times");
  times.hidden = countNow() === 1;
  times.textContent = `× ${digits.format(countNow())}`;
}

if (count) {
  for (const button of document.querySelectorAll("[data-step]")) {
    button.hidden = false;
    button.addEventListener("click", () => setCount(countNow() + Number(button.dataset.step)));
  }
  count.addEventListener("input", showTimes);
  showTimes();
}

// + changes the number, but it also begins a phone number: when a digit follows, it was the latter.
let countBeforePlus = null;

function onCountKey(key) {
  const before = countBeforePlus;
  countBeforePlus = null;
  if (before !== null && /^[0-9۰-۹٠-٩]$/.test(key)) {
    setCount(before);
    box.value = "+";
    return false;
  }
  const step = { ArrowUp: 1, "+": 1, ArrowDown: -1, "-": -1 }[key];
  if (!count || step === undefined) return false;
  if (key === "+") countBeforePlus = before ?? countNow();
  setCount(countNow() + step);
  return true;
}

const asked = { F2: amount, F6: bonusBill, F7: bill };
const press = (key) => document.querySelector(`[data-shortcut="${key}"]`)?.requestSubmit();

document.addEventListener("keydown", (event) => {
  if (event.isComposing || event.ctrlKey || event.altKey || event.metaKey || leaving) return;
  const inEmptyBox = document.activeElement === box && box.value === "";
  if ((inEmptyBox || document.activeElement === count) && onCountKey(event.key)) event.preventDefault();
  else if (asked[event.key]) {
    const field = asked[event.key];
    event.preventDefault();
    field.focus();
    field.select();
  } else if ((event.key === "F8" || event.key === "F9") && !event.repeat) {
    event.preventDefault();
    press(event.key);
  } else if (event.key === "Escape") {
    if (box.value) box.value = "";
    else if (document.activeElement !== box) box.focus();
    else location.assign(findForm.action.replace(/\/find$/, ""));
  }
});

// What came of the last act, for eyes, ears and screen readers
const result = document.getElementById("result");
if (result) {
  play(result.dataset.outcome);
  setTimeout(() => (document.getElementById("announce").textContent = result.innerText), 100);
}

const mute = document.getElementById("mute");
const showMuted = () => mute.setAttribute("aria-pressed", String(isMuted()));
mute.hidden = false;
showMuted();
mute.addEventListener("click", () => {
  setMuted(!isMuted());
  showMuted();
  box.focus();
});

setUpCamera({
  open: document.getElementById("camera-open"),
  panel: document.getElementById("camera"),
  token: findForm.elements.csrf_token.value,
  onText: (text) => {
    box.value = text;
    findForm.requestSubmit();
  },
});

// Where a mistake was marked, the focus is on it; else where the page wants it, which is mostly the box, ready for the
// next card. What could not be read stands there selected: it can be mended, and the next scan takes its place.
(document.querySelector("main [aria-invalid]") ?? document.querySelector("main [autofocus]") ?? box).focus();
if (box.dataset.mistyped) {
  box.value = box.dataset.mistyped;
  box.select();
}
