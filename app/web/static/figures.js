// How far a campaign is, looked at every three seconds; when it rests or has ended, the page is shown anew.

const bar = document.getElementById("progress");
const words = document.getElementById("progress-words");
const REST = 3000; // milliseconds
let state;

async function look() {
  try {
    const answer = await fetch(bar.dataset.address);
    if (!answer.ok || answer.redirected) return location.reload();
    const now = await answer.json();
    state ??= now.state;
    if (!now.moving || now.state !== state) return location.reload();
    bar.max = now.of || 1;
    bar.value = now.done;
    words.textContent = now.words;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // without a connection: until it is back
  }
  setTimeout(look, REST);
}

look();
