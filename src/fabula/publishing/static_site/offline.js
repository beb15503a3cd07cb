// Caches the site's files in the browser, so that it works without a network once it has been loaded.

const SITE = `fabula ${self.registration.scope} `; // other sites of the same host keep their own
const KEPT = `${SITE}@VERSION@`;
const FILES = @FILES@;

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(KEPT).then((cache) => cache.addAll(FILES)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(caches.keys()
    .then((names) => Promise.all(names.filter((name) => name.startsWith(SITE) && name !== KEPT).map((name) => caches.delete(name))))
    .then(() => self.clients.claim()));
});

self.addEventListener("fetch", (event) => {
  if (event.request.method !== "GET") return;
  event.respondWith(caches.match(event.request, { ignoreSearch: true, cacheName: KEPT }).then((kept) => kept ?? fetch(event.request)));
});
