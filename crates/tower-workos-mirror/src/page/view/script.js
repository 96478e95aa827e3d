// Keeps a page up to date. Without it, the page shows the state at the time when it was made.
"use strict";
(() => {
  const { mode, seq, now } = document.body.dataset;
  if (!mode || !window.EventSource) return;

  const RETRY = 15000; // After the server ended the stream.
  const PAUSE = 1000; // At least, between two loads of the page.
  const DEBOUNCE = 300;
  const RELOAD = 30000; // The overview shows more than the tables.
  const TICK = 5000;
  const PATIENCE = 4000;
  const ROWS = 500;

  const status = document.getElementById("live");
  const offset = Number(now) - Date.now(); // The reader's clock can be wrong.
  let last = Number(seq);
  let source = null;
  let retry = 0;
  let doubts = 0;
  let isOver = false;

  const say = (text, isOn) => {
    status.classList.toggle("on", Boolean(isOn));
    if (status.textContent !== text) status.textContent = text;
  };

  // A stream ends from time to time, and the next one opens at once. Only a longer interruption is worth a word.
  const doubt = () => {
    doubts ||= setTimeout(() => say("reconnecting…"), PATIENCE);
  };

  const trust = () => {
    clearTimeout(doubts);
    doubts = 0;
  };

  const stop = (text) => {
    isOver = true;
    close();
    trust();
    say(text);
  };

  // The stream of changes. It is closed while the page is hidden: browsers allow six connections to a server.

  const close = () => {
    clearTimeout(retry);
    if (source) source.close();
    source = null;
  };

  const open = () => {
    if (isOver || document.hidden) return;
    close();
    const opened = new EventSource("events?after=" + last);
    source = opened;
    opened.onopen = () => {
      trust();
      if (!status.classList.contains("on")) say("live", true);
    };
    opened.onerror = () => {
      if (opened !== source) return;
      doubt();
      // Otherwise the browser connects again.
      if (opened.readyState === EventSource.CLOSED) again();
    };
    opened.addEventListener("change", (event) => {
      const number = Number(event.lastEventId);
      if (number > last) last = number;
      if (mode === "feed") feed(event.data);
      else load();
    });
    opened.addEventListener("lagged", () => {
      // Some changes were skipped, so only the page itself can show the state.
      close();
      doubt();
      load(true);
    });
  };

  const again = () => {
    close();
    // The page's status says whether the session has ended.
    retry = setTimeout(() => load(true), RETRY);
  };

  // Loading the page again.

  let timer = 0;
  let isLoading = false;
  let isWanted = false;
  let isReopening = false;
  let isStale = false;
  let earliest = 0;

  const load = (reopens) => {
    isWanted = true;
    isReopening ||= Boolean(reopens);
    if (timer || isLoading || isOver || document.hidden) return;
    timer = setTimeout(run, Math.max(DEBOUNCE, earliest - Date.now()));
  };

  const run = async () => {
    const reopens = isReopening;
    timer = 0;
    isWanted = isReopening = false;
    isLoading = true;
    try {
      const response = await fetch(location.href, { cache: "no-store", redirect: "manual" });
      if (response.ok) {
        update(new DOMParser().parseFromString(await response.text(), "text/html"), reopens);
        if (reopens) open();
      } else if (response.status >= 500 || response.status === 429) {
        doubt();
        again();
      } else {
        stop(response.status === 404 ? "updates ended: reload" : "updates ended: reload to sign in again");
      }
    } catch {
      // The network failed.
      doubt();
      again();
    }
    isLoading = false;
    earliest = Date.now() + PAUSE;
    if (isWanted) load();
  };

  const update = (fresh, isAll) => {
    const verdict = () => (document.querySelector(".verdict h1, .verdict h2") || status).textContent;
    const before = verdict();
    isStale = false;
    if (isAll) last = Math.max(last, Number(fresh.body.dataset.seq) || 0);
    for (const region of document.querySelectorAll("[data-live]")) {
      const found = fresh.getElementById(region.id);
      if (!found || found.innerHTML === region.innerHTML) continue;
      if (isSelected(region)) {
        isStale = true;
        continue;
      }
      const focused = region.contains(document.activeElement) && document.activeElement;
      const link = focused && focused.getAttribute("href");
      region.className = found.className;
      region.replaceChildren(...found.childNodes);
      if (link) {
        const same = [...region.querySelectorAll("a[href]")].find((it) => it.getAttribute("href") === link);
        if (same) same.focus({ preventScroll: true });
      }
    }
    document.title = fresh.title;
    refresh();
    // Screen readers announce the status.
    if (isStale) say("paused: text is selected");
    else if (source) say(verdict() === before ? "live" : "live: " + verdict(), true);
  };

  // The reader may be about to copy the text.
  const isSelected = (region) => {
    const selection = getSelection();
    return selection && !selection.isCollapsed && region.contains(selection.anchorNode);
  };

  // The feed.

  let rows = [];

  const feed = (html) => {
    if (!rows.length) requestAnimationFrame(show);
    rows.push(html);
    if (rows.length > ROWS) rows.shift();
  };

  const show = () => {
    const body = document.getElementById("feed");
    const text = "<table><tbody>" + rows.join("") + "</tbody></table>";
    rows = [];
    let added = 0;
    for (const row of [...new DOMParser().parseFromString(text, "text/html").querySelectorAll("tr")]) {
      if (document.getElementById(row.id)) continue;
      row.className = "new";
      body.prepend(row);
      added += 1;
    }
    if (!added) return;
    const empty = document.getElementById("empty");
    if (empty) empty.remove();
    while (body.rows.length > ROWS) body.lastElementChild.remove();
    const older = document.querySelector("a[rel=next]");
    if (older) older.setAttribute("href", "changes?before=" + body.lastElementChild.id.slice(1));
    document.getElementById("news").textContent = added === 1 ? "1 new change" : added + " new changes";
  };

  // Times. The rules are those of the server.

  const rough = (seconds) => {
    const units = [[60, 1, " s"], [3600, 60, " min"], [172800, 3600, " h"], [63072000, 86400, " days"]];
    const [, size, name] = units.find(([limit]) => seconds < limit) || [0, 31536000, " years"];
    return Math.floor(seconds / size) + name;
  };

  const ago = (millis) => {
    const seconds = Math.floor(Math.abs(millis) / 1000);
    if (millis >= 1000) return rough(seconds) + " ago";
    return millis >= -60000 ? "just now" : "in " + rough(seconds);
  };

  const refresh = () => {
    if (document.hidden || isOver) return;
    for (const time of document.querySelectorAll("time.ago")) {
      const text = ago(Date.now() + offset - Date.parse(time.dateTime));
      if (time.textContent !== text) time.textContent = text;
    }
  };

  setInterval(() => {
    if (mode === "clock" || isStale) load();
  }, RELOAD);
  setInterval(refresh, TICK);

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return close();
    if (isOver) return;
    doubt();
    if (mode === "feed") open();
    else load(true);
  });
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && open());

  say("connecting…");
  open();
})();
