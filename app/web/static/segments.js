// The builder of segments without reloading the page, and how many members it chooses, a moment after the last change.

const REST = 500; // milliseconds: shorter would ask at every key
const result = document.getElementById("segment-result");

let timer = 0;
let counting = new AbortController();

for (const element of document.querySelectorAll("[data-without-script]")) element.hidden = true;

async function ask(address, data, signal) {
  const answer = await fetch(address, { method: "POST", body: data, signal });
  return answer.ok && !answer.redirected ? await answer.text() : null;
}

async function count(builder) {
  if (!result) return;
  counting.abort();
  counting = new AbortController();
  const panel = result.closest("section");
  panel?.classList.add("old");
  try {
    const found = await ask(builder.dataset.segmentCount, new FormData(builder.closest("form")), counting.signal);
    if (found !== null) result.innerHTML = found;
    panel?.classList.remove("old");
  } catch (error) {
    if (error.name !== "AbortError" && !(error instanceof TypeError)) throw error;
  }
}

function later(builder) {
  clearTimeout(timer);
  timer = setTimeout(() => count(builder), REST);
}

// What was added is filled in next; what was removed leaves the place where something else can be added.
function focusAfter(builder, act) {
  const [what, place] = act.split(":");
  const group = what === "add" ? place : place.slice(0, place.lastIndexOf("-"));
  const choice = builder.querySelector(`[name="${group}-new"]`);
  const added = choice?.closest(".segment-group").querySelector(":scope > .segment-parts > li:last-child");
  const field = what === "add" ? added?.querySelector("input:not([type=hidden]), select") : null;
  (field ?? choice)?.focus();
}

async function press(builder, button) {
  const data = new FormData(builder.closest("form"));
  data.append(button.name, button.value);
  builder.setAttribute("aria-busy", "true");
  let part = null;
  try {
    part = await ask(builder.dataset.segmentBuilder, data);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
  builder.removeAttribute("aria-busy");
  if (part === null) return button.form.requestSubmit(button); // signed out, or no connection: as without a script
  const fresh = new DOMParser().parseFromString(part, "text/html").querySelector(".segment-builder");
  builder.replaceChildren(...fresh.childNodes);
  focusAfter(builder, button.value);
  later(builder);
}

for (const builder of document.querySelectorAll("[data-segment-builder]")) {
  builder.addEventListener("input", () => later(builder));
  builder.addEventListener("click", (event) => {
    const button = event.target.closest("button[name=segment]");
    if (!button) return;
    event.preventDefault();
    if (builder.getAttribute("aria-busy") !== "true") press(builder, button);
  });
}
