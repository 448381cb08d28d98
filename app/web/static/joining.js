// The picture of the joining form follows what is chosen: the server draws it again.

const form = document.getElementById("joining-form");
const place = document.getElementById("joining-preview");
let asking = new AbortController();

form.addEventListener("input", async () => {
  asking.abort();
  asking = new AbortController();
  try {
    const answer = await fetch(place.dataset.address, { method: "POST", body: new FormData(form), signal: asking.signal });
    if (answer.ok && !answer.redirected) place.innerHTML = await answer.text(); // else the last picture stays
  } catch (error) {
    if (error.name !== "AbortError" && !(error instanceof TypeError)) throw error;
  }
});
