// How many parts the message makes: the server counts, a moment after the last key.

const form = document.getElementById("write");
const place = document.getElementById("sms-count");
const REST = 300; // milliseconds: shorter would ask at every key

let timer = 0;
let asking = new AbortController();

async function count() {
  asking.abort();
  asking = new AbortController();
  try {
    const answer = await fetch(place.dataset.address, { method: "POST", body: new FormData(form), signal: asking.signal });
    if (answer.ok && !answer.redirected) place.textContent = (await answer.text()).trim();
  } catch (error) {
    if (error.name !== "AbortError" && !(error instanceof TypeError)) throw error;
  }
}

if (form) {
  form.querySelector("[data-without-script]").hidden = true;
  form.elements.text.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(count, REST);
  });
}
