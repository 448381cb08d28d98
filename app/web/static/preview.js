// The live picture of the card: the server draws it again, a moment after the last key.

const form = document.getElementById("program-form");
const place = document.getElementById("preview");
const picker = document.getElementById("color-picker");
const typed = form.elements.brand_color;
const logo = form.elements.logo;
const REST = 250; // milliseconds: shorter would ask at every key

let timer = 0;
let asking = new AbortController();
let chosenLogo = "";

function paint() {
  const card = place.querySelector(".wallet-card");
  for (const part of ["background", "ink", "label", "accent"]) card.style.setProperty(`--card-${part}`, card.dataset[part]);
  picker.value = card.dataset.brand;
  if (chosenLogo) showLogo(card);
}

function showLogo(card) {
  const picture = document.createElement("img");
  picture.className = "wallet-logo";
  picture.alt = "";
  picture.src = chosenLogo;
  card.querySelector(".wallet-logo").replaceWith(picture);
}

async function refresh() {
  asking.abort();
  asking = new AbortController();
  const body = new FormData(form);
  body.delete("logo");
  try {
    const answer = await fetch(place.dataset.address, { method: "POST", body, signal: asking.signal });
    if (!answer.ok || answer.redirected) return; // signed out, or the server is away: the last picture stays
    const open = place.querySelector(".wallet-back").open;
    place.innerHTML = await answer.text();
    place.querySelector(".wallet-back").open = open;
    paint();
  } catch (error) {
    if (error.name !== "AbortError" && !(error instanceof TypeError)) throw error;
  }
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(refresh, REST);
}

picker.addEventListener("input", () => {
  typed.value = picker.value;
});
logo.addEventListener("change", () => {
  URL.revokeObjectURL(chosenLogo);
  chosenLogo = logo.files.length ? URL.createObjectURL(logo.files[0]) : "";
});
form.addEventListener("input", soon);
picker.addEventListener("input", soon);
document.getElementById("preview_state").addEventListener("input", soon);
paint();
