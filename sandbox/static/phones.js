// Keeps the drawn phones as the pretend ones are: the server says which has changed, and its drawing is fetched anew.

const shelf = document.querySelector("[data-shelf]");
const stands = () => [...shelf.querySelectorAll("[data-stand]")];

/** Colours come as attributes: style attributes are not allowed here. */
function paint(stand) {
  const wallet = stand.querySelector(".wallet");
  if (!wallet) return;
  stand.style.setProperty("--card", wallet.dataset.background);
  stand.style.setProperty("--card-ink", wallet.dataset.ink);
  stand.style.setProperty("--card-label", wallet.dataset.label);
}

function tick() {
  const time = new Date();
  const shown = `${String(time.getHours()).padStart(2, "0")}:${String(time.getMinutes()).padStart(2, "0")}`;
  for (const clock of shelf.querySelectorAll("[data-clock]")) clock.textContent = shown;
}

const pictures = (stand) => [...stand.querySelectorAll(".wallet img")].map((image) => image.getAttribute("src")).join();
const spoken = (stand) => Number(stand.querySelector(".alerts")?.dataset.count ?? 0);

async function redraw(stand, version) {
  stand.dataset.version = version;
  const answer = await fetch(`${shelf.dataset.shelf}/${stand.dataset.stand}`, { headers: { Accept: "text/html" } });
  if (!answer.ok || Number(stand.dataset.version) !== version) return;
  const drawing = await answer.text();
  const before = { pictures: pictures(stand), spoken: spoken(stand), turned: stand.querySelector(".turn")?.checked };
  const held = document.activeElement?.closest("[data-act]")?.dataset.act;
  const draft = stand.querySelector(".compose input")?.value;
  stand.innerHTML = drawing;
  const turn = stand.querySelector(".turn");
  if (turn) turn.checked = before.turned ?? false;
  if (spoken(stand) > before.spoken) stand.querySelector(".alert")?.classList.add("new");
  if (before.pictures && pictures(stand) !== before.pictures) stand.querySelector(".wallet")?.classList.add("new");
  const compose = stand.querySelector(".compose input");
  if (compose && draft) compose.value = draft;
  if (held) stand.querySelector(`[data-act="${held}"] :is(input:not([type="hidden"]), select, button)`)?.focus();
  ready(stand);
}

async function send(event) {
  event.preventDefault();
  const form = event.currentTarget;
  const body = new URLSearchParams(new FormData(form));
  if (form.matches(".compose")) form.reset();
  const answer = await fetch(form.action, { method: "POST", body, headers: { Accept: "application/json" } });
  if (answer.status === 422) say((await answer.json()).error);
}

function say(text) {
  const notice = document.querySelector(".notice") ?? document.createElement("p");
  notice.className = "notice bad";
  notice.setAttribute("role", "alert");
  notice.textContent = text;
  shelf.before(notice);
}

function ready(stand) {
  paint(stand);
  for (const form of stand.querySelectorAll("form[data-act]")) form.addEventListener("submit", send);
  stand.querySelector("[data-set]")?.setAttribute("hidden", "");
  stand.querySelector(".language select")?.addEventListener("change", (event) => event.target.form.requestSubmit());
}

stands().forEach(ready);
tick();
setInterval(tick, 5000);

const events = new EventSource(shelf.dataset.events);
events.addEventListener("message", (event) => {
  const versions = JSON.parse(event.data);
  for (const stand of stands()) {
    const version = versions[stand.dataset.stand];
    if (version === undefined) stand.remove();
    else if (version > Number(stand.dataset.version)) redraw(stand, version);
  }
  const drawn = new Set(stands().map((stand) => stand.dataset.stand));
  if (Object.keys(versions).some((id) => !drawn.has(id))) location.reload();
});
addEventListener("pagehide", () => events.close());
