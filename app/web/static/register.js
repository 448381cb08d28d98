// How far an import is, looked at every second; when it has ended, the page is shown anew.

const place = document.getElementById("register-state");
const REST = 1000; // milliseconds

document.getElementById("register-look").hidden = true;

async function look() {
  try {
    const answer = await fetch(place.dataset.address);
    if (answer.status !== 200 || answer.redirected) return location.reload();
    place.innerHTML = await answer.text();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // without a connection: until it is back
  }
  setTimeout(look, REST);
}

setTimeout(look, REST);
