// A scanner types like a very fast person and ends with Enter. Wherever the focus is, what it types lands in the box,
// and its Enter never presses a button.

const FAST = 40; // milliseconds a key, on average, that no person reaches
const PAUSE = 150; // milliseconds after which something else is being typed
const SETTLING = 350; // for so long a new page may still get the end of a scan meant for the page before
const CARD_LENGTH = 16;
const CARD = new RegExp(`^[0-9A-Za-z]{${CARD_LENGTH}}$`);

const NOTHING = { text: "", before: "", begunAt: 0 };

// Nobody scans an amount or a number of stamps: what a scanner types there was meant for the box.
const isForNumbers = (field) => field.inputMode === "decimal" || field.inputMode === "numeric";

const isField = (element) =>
  element instanceof HTMLTextAreaElement || (element instanceof HTMLInputElement && element.type === "text");

/**
 * Watch the keyboard. `onEmptyEnter` is called when somebody, not a scanner, presses Enter in the empty box.
 * `isLeaving` tells that a form is on its way: what is typed then belongs to no page.
 */
export function watchTyping({ box, form, onEmptyEnter, isLeaving }) {
  const shownAt = performance.now();
  let lastKeyAt = -Infinity;
  let burst = NOTHING;
  setTimeout(() => (box.dataset.ready = ""), SETTLING);

  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.ctrlKey || event.altKey || event.metaKey) return;
    const printable = event.key.length === 1;
    if (!printable && event.key !== "Enter") return;
    if (isLeaving()) return event.preventDefault();
    const gap = event.timeStamp - lastKeyAt;
    lastKeyAt = event.timeStamp;
    if (printable) return onCharacter(event, gap);
    onEnter(event, gap);
    burst = NOTHING;
  }, true);

  function onCharacter(event, gap) {
    const focused = document.activeElement;
    if (gap > PAUSE || burst === NOTHING) {
      burst = { text: "", before: isField(focused) ? focused.value : "", begunAt: event.timeStamp };
    }
    burst.text += event.key;
    if (isField(focused) || event.key === " ") return;
    box.value = "";
    box.focus();
  }

  function onEnter(event, gap) {
    const focused = document.activeElement;
    const { text, begunAt } = burst;
    const scanned = text.length >= 4 && gap < PAUSE && (event.timeStamp - begunAt) / text.length < FAST;
    if (event.repeat) return event.preventDefault();
    if (focused === box) return onEnterInBox(event, gap < FAST, scanned);
    if (!scanned) return;
    event.preventDefault();
    if (isField(focused) && (CARD.test(text) || isForNumbers(focused))) {
      focused.value = burst.before;
      box.value = text;
      form.requestSubmit();
    }
  }

  function onEnterInBox(event, fast, scanned) {
    const typed = box.value.trim();
    const endOfAScan = scanned && burst.begunAt - shownAt < SETTLING && burst.text.length < CARD_LENGTH;
    if (endOfAScan) {
      event.preventDefault();
      box.value = "";
    } else if (typed === "") {
      event.preventDefault();
      if (!fast && event.timeStamp - shownAt > SETTLING) onEmptyEnter();
    } else if (scanned && CARD.test(burst.text)) {
      box.value = burst.text; // what stood there before the scan is not part of the code
    }
  }
}
