// Uses everything that the app offers, one thing after the other, and writes down what it saw.
const log = document.getElementById("log");
const say = (...words) => { log.textContent += words.join(" ") + "\n"; };
const hex = async (bytes) =>
  [...new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))].map((b) => b.toString(16).padStart(2, "0")).join("");
const shown = (answer, ...names) => names.map((name) => `${name}=${answer.headers.get(name)}`).join(" ");

async function files() {
  for (const range of [null, "bytes=0-0", "bytes=1000-1999", "bytes=-500", "bytes=99999999-"]) {
    const answer = await fetch("/files/noise.bin", { headers: range ? { Range: range } : {}, cache: "no-store" });
    const body = await answer.arrayBuffer();
    say("file", range, answer.status, shown(answer, "content-range", "content-length", "accept-ranges", "etag",
      "content-disposition"), await hex(body));
  }
  const head = await fetch("/files/noise.bin", { method: "HEAD" });
  const tag = head.headers.get("etag");
  say("head", head.status, shown(head, "content-length", "content-type"), (await head.text()).length);
  for (const name of ["If-None-Match", "If-Match"]) {
    const answer = await fetch("/files/noise.bin", { headers: { [name]: tag }, cache: "no-store" });
    say(name, answer.status, (await answer.arrayBuffer()).byteLength);
  }
  const part = await fetch("/files/noise.bin", { headers: { Range: "bytes=5-9", "If-Range": tag }, cache: "no-store" });
  say("If-Range", part.status, await hex(await part.arrayBuffer()));
  for (let turn = 0; turn < 2; turn++) {
    const script = await fetch("/static/guestbook.js", { cache: "no-cache" });
    say("script", script.status, shown(script, "etag", "content-encoding", "vary"), (await script.text()).length);
  }
}

async function methods() {
  for (const code of [200, 201, 204, 301, 302, 307, 400, 401, 403, 404, 409, 410, 418, 422, 429, 500, 501]) {
    const answer = await fetch(`/status/${code}`);
    say("status", code, answer.status, answer.redirected, new URL(answer.url).pathname, await answer.text());
  }
  const body = new Uint8Array(300_000).map((_, place) => (place * 7) % 251);
  for (const method of ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
    const answer = await fetch("/echo?a=1&a=%2F%20%c3%bc&empty=&b", { method, body: method === "OPTIONS" ? undefined : body });
    say(method, answer.status, shown(answer, "x-told", "x-method"), await answer.text());
  }
  const drops = await fetch("/drops");
  say("drops", drops.status, (await drops.text()).split("\n").length);
}

function chat() {
  return new Promise((done) => {
    const socket = new WebSocket(`ws://${location.host}/chat`, ["guestbook.v1", "guestbook.v2"]);
    socket.binaryType = "arraybuffer";
    const words = ["hello", "", "ünï ☕ 𝄞", "x".repeat(70000), new Uint8Array(200_000).map((_, place) => place % 253), "bye"];
    socket.onopen = () => say("chat open", socket.protocol, socket.extensions);
    socket.onmessage = async ({ data }) => {
      say("chat", typeof data === "string" ? data.slice(0, 40) + data.length : await hex(data));
      socket.send(words.shift());
    };
    socket.onerror = () => say("chat error");
    socket.onclose = ({ code, reason, wasClean }) => { say("chat closed", code, reason, wasClean); done(); };
  });
}

function events() {
  return new Promise((done) => {
    const source = new EventSource("/events");
    let ends = 0;
    source.addEventListener("news", ({ data, lastEventId }) => {
      say("event", lastEventId, JSON.stringify(data));
      if (lastEventId !== "3") fetch("/events/next", { method: "POST" });
    });
    source.onerror = () => {
      say("events broke off", ++ends, source.readyState);
      if (source.readyState === EventSource.CLOSED) done();
    };
  });
}

window.journey = async () => {
  try {
    for (const part of [files, methods, chat, events]) await part();
  } catch (error) {
    say("error", error);
  }
  document.getElementById("done").textContent = "done";
};
