// Writing a campaign: parts, price and what to mind are counted by the server, a moment after the last key; buttons put
// personal fields into the text.

const form = document.getElementById("campaign-form");
const REST = 300; // milliseconds: shorter would ask at every key

let timer = 0;
let asking = new AbortController();

function line(kind, words) {
  const made = document.createElement("p");
  made.className = kind;
  made.textContent = words;
  return made;
}

function show(texts) {
  for (const place of form.querySelectorAll("[data-text]")) {
    const told = texts[place.dataset.text];
    const lines = told ? told.cautions.map((words) => line("caution", words)) : [];
    if (told?.error) lines.unshift(line("field-error", told.error));
    if (told?.line) lines.unshift(line("field-hint", told.line));
    document.getElementById(`count-${place.dataset.text}`).replaceChildren(...lines);
  }
}

async function count() {
  asking.abort();
  asking = new AbortController();
  try {
    const answer = await fetch(form.dataset.count, { method: "POST", body: new FormData(form), signal: asking.signal });
    if (answer.ok && !answer.redirected) show((await answer.json()).texts);
  } catch (error) {
    if (error.name !== "AbortError" && !(error instanceof TypeError)) throw error;
  }
}

function later() {
  clearTimeout(timer);
  timer = setTimeout(count, REST);
}

// The dots of a fallback are selected, to be typed over.
function insert(area, words) {
  const start = area.selectionStart;
  area.setRangeText(words, start, area.selectionEnd, "end");
  const dots = words.indexOf("…");
  if (dots >= 0) area.setSelectionRange(start + dots, start + dots + 1);
  area.focus();
  later();
}

if (form) {
  form.addEventListener("input", later);
  form.addEventListener("click", (event) => {
    const button = event.target.closest("[data-insert]");
    if (button) insert(button.closest("[data-text]").querySelector("textarea"), button.dataset.insert);
  });
}
