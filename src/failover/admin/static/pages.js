// Keeps the page alive: parts that have changed come drawn from the server, and are put in place without losing focus,
// open details or the place where one reads. When nothing comes, the page says how old it is.
"use strict";

(() => {
  const STALE_MS = 5000;
  const main = document.getElementById("main");
  const fresh = document.getElementById("fresh");
  const clock = new Intl.DateTimeFormat(undefined, {hour: "2-digit", minute: "2-digit", second: "2-digit"});
  const dated = new Intl.DateTimeFormat(undefined, {day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit"});
  let heard = Date.now();
  let asOf = "";
  let sentence = "";

  // Times are written in UTC, and read in the reader's own.
  const localize = (root) => {
    for (const time of root.querySelectorAll("time")) {
      const at = new Date(time.dateTime);
      const today = at.toDateString() === new Date().toDateString();
      time.textContent = (today ? clock : dated).format(at);
      time.title = time.dateTime;
    }
  };

  // Make `old` like `now`, changing as little as possible: what has an id stays itself, wherever it stands.
  const morph = (old, now) => {
    const kept = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
    const wanted = new Set([...now.children].map((child) => child.id));
    for (const [id, child] of kept) {
      if (!wanted.has(id)) child.remove();
    }
    let there = old.firstChild;
    for (const node of [...now.childNodes]) {
      const alike = there && !there.id && !node.id && there.nodeName === node.nodeName;
      const same = alike ? there : kept.get(node.id);
      if (!same) {
        old.insertBefore(node, there);
        continue;
      }
      if (same === there) there = there.nextSibling;
      else old.insertBefore(same, there);
      if (same.nodeType !== Node.ELEMENT_NODE) {
        if (same.nodeValue !== node.nodeValue) same.nodeValue = node.nodeValue;
      } else if (!same.isEqualNode(node)) {
        for (const {name} of [...same.attributes]) {
          if (!node.hasAttribute(name) && name !== "open") same.removeAttribute(name);
        }
        for (const {name, value} of node.attributes) {
          if (same.getAttribute(name) !== value) same.setAttribute(name, value);
        }
        morph(same, node);
      }
    }
    while (there) {
      const next = there.nextSibling;
      there.remove();
      there = next;
    }
  };

  const show = (parts) => {
    for (const [name, html] of Object.entries(parts)) {
      const part = document.getElementById(`part-${name}`);
      if (!part) continue;
      const drawn = document.createElement("template");
      drawn.innerHTML = html;
      localize(drawn.content);
      morph(part, drawn.content);
    }
    const told = document.getElementById("sentence");
    const words = told ? told.textContent.replace(/\s+/g, " ").trim() : "";
    if (words !== sentence) {
      sentence = words;
      document.title = `${words} · Failover`;
      say.textContent = words;
    }
  };

  // A screen reader hears who serves when that changes, and nothing else.
  const say = document.createElement("p");
  say.className = "skip";
  say.setAttribute("role", "status");
  say.setAttribute("aria-live", "polite");
  document.body.append(say);
  fresh.removeAttribute("role");

  const look = () => {
    const stale = Date.now() - heard > STALE_MS;
    if (stale === document.documentElement.classList.contains("stale")) return;
    document.documentElement.classList.toggle("stale", stale);
    fresh.textContent = stale ? `connection lost, data from ${asOf}` : `live, as of ${asOf}`;
    if (stale) say.textContent = fresh.textContent;
  };

  const listen = () => {
    const stream = new EventSource(main.dataset.live);
    stream.addEventListener("parts", (message) => {
      const {now, parts} = JSON.parse(message.data);
      heard = Date.now();
      asOf = clock.format(new Date(now * 1000));
      look();
      fresh.textContent = `live, as of ${asOf}`;
      show(parts);
    });
    // The browser comes back by itself, unless it was refused: then it must be tried anew.
    stream.addEventListener("error", () => {
      if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
    });
  };

  localize(document);
  const drawnAt = fresh.querySelector("time");
  asOf = drawnAt ? drawnAt.textContent : "";
  setInterval(look, 500);
  listen();
})();
