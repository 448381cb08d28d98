// Keeps the door's page and its files in the browser, and nothing else. All of them are of one version, which is part
// of this script's own address: another version is another worker, with a store of its own.

const asked = new URL(location.href).searchParams;
const assets = asked.get("assets");
const STORE = `leima-door ${assets} ${asked.get("language")}`;
const PAGE = new URL("door", location.href).pathname;
const NAMES = [
  ...["leima.css", "door.css", "mark.svg"],
  ...["door.js", "door_queue.js", "camera.js", "till_sound.js", "till_typing.js"],
];
const FILES = new Set(NAMES.map((name) => `${assets}/${name}`));
const PATIENCE = 4000; // milliseconds for a network that is there but does not answer

self.addEventListener("install", (event) => event.waitUntil(keep()));
self.addEventListener("activate", (event) => event.waitUntil(forgetOthers()));

self.addEventListener("fetch", (event) => {
  const { pathname, origin } = new URL(event.request.url);
  if (event.request.method !== "GET" || origin !== location.origin) return;
  if (event.request.mode === "navigate" && pathname === PAGE) event.respondWith(page(event.request));
  else if (FILES.has(pathname)) event.respondWith(file(event.request));
});

async function keep() {
  const store = await caches.open(STORE);
  await store.addAll([PAGE, ...FILES]);
  await self.skipWaiting();
}

async function forgetOthers() {
  const others = (await caches.keys()).filter((name) => name.startsWith("leima-door ") && name !== STORE);
  await Promise.all(others.map((name) => caches.delete(name)));
  await self.clients.claim();
}

async function page(request) {
  try {
    const answer = await Promise.race([fetch(request), new Promise((_, late) => setTimeout(late, PATIENCE))]);
    if (answer.status < 500) return answer;
  } catch {
    // cut off: the kept page does
  }
  return (await kept(PAGE)) ?? Response.error();
}

async function file(request) {
  return (await kept(request)) ?? fetch(request);
}

async function kept(what) {
  return (await caches.open(STORE)).match(what, { ignoreSearch: true });
}
