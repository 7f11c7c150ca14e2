// What makes the page live. Without it the page is whole, as of its rendering.
"use strict";

const body = document.body;
const skew = Date.now() - Number(body.dataset.now);
const byCheck = (root, name) => root.querySelectorAll(`[data-check="${CSS.escape(name)}"]`);

// Ages, once a second; what has outlived its time is said to be stale.
function ago(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s}s ago`;
  if (s < 3600) return `${Math.floor(s / 60)}m ${s % 60}s ago`;
  if (s < 86400) return `${Math.floor(s / 3600)}h ${Math.floor((s % 3600) / 60)}m ago`;
  return `${Math.floor(s / 86400)} days ago`;
}
function age() {
  const now = Date.now() - skew;
  for (const time of document.querySelectorAll("time[data-at]")) {
    const at = Number(time.dataset.at);
    if (!at) continue;
    const text = ago(now - at);
    if (time.textContent !== text) time.textContent = text;
    const until = Number(time.dataset.until);
    const holder = time.closest("[data-check]");
    if (!until || !holder) continue;
    holder.classList.toggle("stale", now > until);
    holder.classList.toggle("ageing", now <= until && now - at > (until - at) / 2);
  }
}
age();
setInterval(age, 1000);

// Server-sent events, while the page is looked at.
const away = document.getElementById("away");
let source = null;
let lost = 0;
function say(text) {
  if (away.textContent !== text) away.textContent = text;
  away.hidden = !text;
}
function fragment(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
}
const heard = {
  overview(data) {
    const { html, counts, icon, title } = JSON.parse(data);
    const overview = document.getElementById("overview");
    if (!overview) return;
    if (overview.dataset.html !== html) {
      overview.replaceChildren(fragment(html));
      overview.dataset.html = html;
      document.title = title;
    }
    for (const [word, count] of Object.entries(counts)) {
      for (const place of document.querySelectorAll(`[data-count="${word}"]`)) place.textContent = count;
    }
    const link = document.getElementById("icon");
    if (!link.href.endsWith(icon)) link.href = icon;
  },
  check(data) {
    const { check, html } = JSON.parse(data);
    for (const old of byCheck(document, check)) {
      const row = fragment(html).firstElementChild;
      const changed = old.classList[1] !== row.classList[1];
      const focused = old.contains(document.activeElement);
      old.replaceWith(row);
      if (changed) row.classList.add("new");
      if (focused) row.querySelector("a").focus();
    }
    age();
  },
  detail(data) {
    const { html, report, icon, title } = JSON.parse(data);
    document.getElementById("detail").replaceChildren(fragment(html));
    const json = document.getElementById("json");
    if (!json.matches(":focus")) json.textContent = report;
    document.title = title;
    const link = document.getElementById("icon");
    if (!link.href.endsWith(icon)) link.href = icon;
    age();
  },
};
function listen() {
  if (source || document.hidden || !body.dataset.live) return;
  source = new EventSource(body.dataset.live);
  for (const [name, hear] of Object.entries(heard)) source.addEventListener(name, (event) => hear(event.data));
  source.onopen = () => { lost = 0; say(""); body.dataset.state = "live"; };
  source.onerror = () => {
    lost ||= Date.now();
    body.dataset.state = "away";
    const seconds = Math.round((Date.now() - lost) / 1000);
    say(`supercheck cannot be reached${seconds ? ` for ${seconds}s` : ""}: what is shown is as old as it says.`);
    // A refusal ends the stream for good; come back by ourselves.
    if (source.readyState === EventSource.CLOSED) {
      source = null;
      setTimeout(listen, 5000);
    }
  };
}
document.addEventListener("visibilitychange", () => {
  if (document.hidden && source) { source.close(); source = null; }
  else listen();
});
listen();

// Searching narrows what is here at once; Enter asks the server.
const q = document.getElementById("q");
if (q) {
  const given = q.value;
  q.addEventListener("input", () => {
    const words = q.value.toLowerCase();
    let shown = 0;
    for (const row of document.querySelectorAll(".row")) {
      row.hidden = q.value !== given && !row.textContent.toLowerCase().includes(words)
        && !row.dataset.check.includes(words);
      shown += !row.hidden;
    }
    for (const group of document.querySelectorAll(".group")) {
      group.hidden = !group.querySelector(".row:not([hidden])");
    }
    document.getElementById("none").hidden = shown > 0;
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea");
    if (event.key === "/" && !typing) { event.preventDefault(); q.focus(); }
  });
  for (const select of document.querySelectorAll(".tools select")) {
    select.addEventListener("change", () => select.form.requestSubmit());
  }
}

// "Check now": asks as any program does, and tells the answer in place.
const form = document.querySelector("form[data-run]");
if (form) {
  const [button, output] = [form.querySelector("button"), form.querySelector("output")];
  const ask = async () => {
    const headers = { "Idempotency-Key": crypto.randomUUID?.() ?? String(Math.random()).slice(2) };
    const token = sessionStorage.getItem("token");
    if (token) headers.Authorization = `Bearer ${token}`;
    return fetch(form.action, { method: "POST", headers });
  };
  const demand = () => new Promise((done) => {
    const dialog = document.getElementById("token");
    dialog.querySelector("input").value = "";
    dialog.showModal();
    dialog.onclose = () => {
      const token = dialog.returnValue === "ok" && dialog.querySelector("input").value;
      if (token) sessionStorage.setItem("token", token);
      done(token);
    };
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    output.className = "";
    const began = performance.now();
    const tick = () => { output.textContent = `Checking … ${((performance.now() - began) / 1000).toFixed(1)} s`; };
    tick();
    const ticking = setInterval(tick, 200);
    try {
      let answer = await ask();
      if (answer.status === 401 && await demand()) answer = await ask();
      const said = await answer.json();
      clearInterval(ticking);
      if (answer.ok) {
        output.textContent = `${said.verdict}: ${said.message}`;
        output.className = said.verdict === "fail" ? "bad" : "";
      } else {
        if (answer.status === 401) sessionStorage.removeItem("token");
        output.textContent = `${said.detail}. ${said.hint}`;
        output.className = "bad";
      }
    } catch (error) {
      clearInterval(ticking);
      output.textContent = "supercheck cannot be reached.";
      output.className = "bad";
    }
    button.disabled = false;
  });
}
