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

const newest = {};
const busy = new WeakSet();

/** One drawing at a time: an older one that comes late must not cover a newer one. */
async function redraw(stand) {
  if (busy.has(stand)) return;
  busy.add(stand);
  try {
    while (newest[stand.dataset.stand] > Number(stand.dataset.version)) {
      const version = newest[stand.dataset.stand];
      const answer = await fetch(`${shelf.dataset.shelf}/${stand.dataset.stand}`, { headers: { Accept: "text/html" } });
      if (!answer.ok) return;
      show(stand, await answer.text());
      stand.dataset.version = version;
    }
  } finally {
    busy.delete(stand);
  }
}

function show(stand, drawing) {
  const before = { pictures: pictures(stand), spoken: spoken(stand) };
  const turned = [...stand.querySelectorAll(".turn:checked")].map((turn) => turn.id);
  const focused = stand.contains(document.activeElement) ? document.activeElement : null;
  const held = focused?.closest("[data-act]")?.dataset.act;
  const draft = stand.querySelector(".compose input")?.value;
  stand.innerHTML = drawing;
  for (const turn of stand.querySelectorAll(".turn")) turn.checked = turned.includes(turn.id);
  if (spoken(stand) > before.spoken) stand.querySelector(".alert")?.classList.add("new");
  if (before.pictures && pictures(stand) !== before.pictures) stand.querySelector(".wallet")?.classList.add("new");
  const compose = stand.querySelector(".compose input");
  if (compose && draft) compose.value = draft;
  if (held) stand.querySelector(`[data-act="${held}"] :is(input:not([type="hidden"]), select, button)`)?.focus();
  else if (focused?.id) document.getElementById(focused.id)?.focus();
  ready(stand);
}

/** Put the phones on the shelf that the server has and the page has not, and leave the rest of the page alone. */
async function addStands() {
  const answer = await fetch(shelf.dataset.shelf, { headers: { Accept: "application/json" } });
  if (!answer.ok) return;
  for (const { id, kind } of await answer.json()) {
    if (document.getElementById(`phone-${id}`)) continue;
    const stand = document.createElement("article");
    stand.id = `phone-${id}`;
    stand.className = `stand ${kind}`;
    stand.setAttribute("aria-labelledby", `name-${id}`);
    Object.assign(stand.dataset, { stand: id, version: 0 });
    newest[id] ??= 1;
    await redraw(stand);
    if (stand.hasChildNodes() && !document.getElementById(stand.id)) shelf.append(stand);
  }
}

async function post(form) {
  const body = new URLSearchParams(new FormData(form));
  if (form.matches(".compose")) form.reset();
  const answer = await fetch(form.action, { method: "POST", body, headers: { Accept: "application/json" } });
  const told = answer.ok || answer.status === 422 ? await answer.json() : {};
  if (told.error) say(told.error);
  else document.querySelector(".notice")?.remove();
  return told;
}

function send(event) {
  event.preventDefault();
  post(event.currentTarget);
}

let adding = false;

/** The new phone is shown only when the form is empty again, so that nothing is lost of what is filled in next. */
async function add(event) {
  event.preventDefault();
  if (adding) return;
  adding = true;
  const form = event.currentTarget;
  try {
    const { id } = await post(form);
    if (id) form.reset();
    await addStands();
    if (id) document.getElementById(`phone-${id}`)?.scrollIntoView();
  } finally {
    adding = false;
  }
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
document.querySelector("[data-add]").addEventListener("submit", add);
tick();
setInterval(tick, 5000);

const events = new EventSource(shelf.dataset.events);
events.addEventListener("message", (event) => {
  const versions = JSON.parse(event.data);
  Object.assign(newest, versions);
  for (const stand of stands()) {
    if (stand.dataset.stand in versions) redraw(stand);
    else stand.remove();
  }
  const drawn = new Set(stands().map((stand) => stand.dataset.stand));
  if (!adding && Object.keys(versions).some((id) => !drawn.has(id))) addStands();
});
addEventListener("pagehide", () => events.close());
