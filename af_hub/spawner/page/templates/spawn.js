// The spawn page: what was chosen in words, what is free now, and what cannot be chosen and why.
(() => {
  "use strict";
  const root = document.querySelector(".af-spawn");
  const form = root.closest("form");
  const part = (name, within = root) => within.querySelector(`[data-af="${name}"]`);
  const cards = [...root.querySelectorAll(".af-card")];
  const radio = (card) => card.querySelector("input[name=profile]");
  const chosen = () => cards.find((card) => radio(card).checked);
  const say = (element, text) => {
    const place = element.querySelector("[data-text]") ?? element;
    if (place.textContent !== text) place.textContent = text;
  };

  // --- times of the reader's zone ---
  for (const time of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    const today = moment.toDateString() === new Date().toDateString();
    time.title = time.textContent;
    time.textContent = today
      ? moment.toLocaleTimeString([], { timeStyle: "short" })
      : moment.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  }

  // --- amounts in words, as the server writes them ---
  const bytes = (size) => {
    const units = [["TiB", 4], ["GiB", 3], ["MiB", 2], ["KiB", 1]];
    const [unit, power] = units.find(([, each]) => size >= 1024 ** each) ?? ["B", 0];
    return `${Number((size / 1024 ** power).toPrecision(4))} ${unit}`;
  };
  const inWords = {
    bytes,
    cores: (count) => (count === 1 ? "1 core" : `${count} cores`),
    gpus: (count) => (count === 0 ? "no GPU" : count === 1 ? "1 GPU" : `${count} GPUs`),
  };

  // --- the summary ---
  const picture = (card, key) =>
    card.querySelector(`.af-facts [data-key="${key}"] svg`)?.cloneNode(true);
  const valueOf = (control) => {
    const range = control.querySelector("input[type=range]");
    if (range) return inWords[range.dataset.unit](Number(range.value));
    const own = control.querySelector("[data-own-text]:not([hidden])");
    if (own) return own.value.trim() || "…";
    return control.querySelector("input:checked, option:checked")?.dataset.words ?? "";
  };
  const factsOf = (card) =>
    [...card.querySelectorAll(".af-facts > li")].map((fact) => {
      const control = card.querySelector(`.af-control[data-control="${fact.dataset.key}"]`);
      const words = fact.querySelector("[data-words]").textContent;
      return [fact.dataset.key, control ? valueOf(control) : words, fact.dataset.minor];
    });
  const summary = part("chosen-facts");
  const refresh = () => {
    const card = chosen();
    for (const each of cards) {
      // fields of other cards are not sent: a catalogue may have hundreds
      const controls = each.querySelector(".af-controls");
      if (controls) controls.disabled = each !== card;
    }
    if (!summary) return;
    say(part("chosen-title"), card ? card.querySelector(".af-title").textContent : "Nothing chosen");
    summary.replaceChildren(
      ...(card ? factsOf(card) : []).map(([key, words, minor]) => {
        const line = document.createElement("li");
        if (minor) line.className = "af-minor";
        const text = document.createElement("span");
        text.textContent = words;
        line.append(...[picture(card, key), text].filter(Boolean));
        return line;
      }),
    );
    const problem = problemOf(card);
    const reason = part("chosen-reason");
    say(reason, problem);
    reason.hidden = !problem;
    part("start").setAttribute("aria-disabled", String(Boolean(problem)));
  };
  const problemOf = (card) => {
    if (!card) return cards.some((each) => !radio(each).disabled) ? "Choose a profile first." : "Nothing can be started now.";
    if (card.dataset.blocked) return card.dataset.blocked;
    for (const control of card.querySelectorAll(".af-control")) {
      const picked = control.querySelector("input:checked, option:checked");
      const own = control.querySelector("[data-own-text]:not([hidden])");
      if (own && !own.value.trim()) return `${own.getAttribute("aria-label")}: write something.`;
      if (picked?.disabled) return control.querySelector("[data-why]").textContent;
    }
    return "";
  };

  // --- what people do ---
  root.addEventListener("input", ({ target }) => {
    if (target.type === "range") {
      const words = inWords[target.dataset.unit](Number(target.value));
      target.setAttribute("aria-valuetext", words);
      target.closest(".af-control").querySelector("output").value = words;
    }
    if (target === part("filter")) return filter(target.value);
    refresh();
  });
  root.addEventListener("change", ({ target }) => {
    const text = target.closest(".af-control")?.querySelector("[data-own-text]");
    if (text && target.tagName === "SELECT") {
      const own = target.selectedOptions[0].hasAttribute("data-own");
      text.hidden = text.disabled = !own;
      if (own) text.focus();
      nameOwn();
    }
    const control = target.closest(".af-control");
    if (control) note(control);
    refresh();
  });
  // a field is sent once: the list, or the text beside it
  const nameOwn = () => {
    for (const text of root.querySelectorAll("[data-own-text]")) {
      const list = text.closest(".af-control").querySelector("select");
      if (text.hidden) list.name = text.name;
      else list.removeAttribute("name");
    }
  };
  const note = (control) => {
    const picked = control.querySelector("input:checked, option:checked");
    const place = control.querySelector("[data-note-shown]");
    if (place) say(place, picked?.dataset.note ?? "");
  };
  const filter = (words) => {
    const wanted = words.trim().toLowerCase().split(/\s+/);
    for (const card of cards) {
      const text = card.querySelector(".af-head").textContent + card.querySelector(".af-body").textContent;
      card.hidden = !wanted.every((word) => text.toLowerCase().includes(word));
    }
  };
  form?.addEventListener("submit", (event) => {
    const problem = problemOf(chosen());
    if (problem) {
      event.preventDefault();
      event.stopImmediatePropagation();
      say(part("said"), "");
      say(part("said"), problem);
      return;
    }
    const start = part("start");
    start.classList.add("af-busy");
    start.setAttribute("aria-disabled", "true");
    say(start, "Starting…");
    live.stop();
  }, { capture: true });
  // Back in the browser shows the page as it was left: with a button that turns for ever
  window.addEventListener("pageshow", ({ persisted }) => {
    if (!persisted) return;
    part("start")?.classList.remove("af-busy");
    say(part("start"), "Start");
    refresh();
    live.watch();
  });

  // --- what is free now ---
  const show = (state) => {
    for (const news of state.profiles) {
      const card = cards.find((each) => each.dataset.name === news.name);
      if (card) showProfile(card, news);
    }
    showUsage(state.usage);
    refresh();
  };
  const showProfile = (card, news) => {
    const was = card.dataset.blocked ?? "";
    card.dataset.blocked = news.blocked;
    card.classList.toggle("af-blocked", Boolean(news.blocked));
    const reason = part("reason", card);
    say(reason, news.blocked);
    reason.hidden = !news.blocked;
    // the chosen card stays chosen, so that nothing jumps; its reason stands at the button
    radio(card).disabled = Boolean(news.blocked) && !radio(card).checked;
    if (radio(card).checked && was !== news.blocked) {
      say(part("said"), news.blocked || `${card.querySelector(".af-title").textContent} can be started now.`);
    }
    const free = part("free", card);
    if (!news.free) free.hidden = true;
    if (news.free) free.hidden = false;
    if (news.free && free.querySelector("[data-text]").textContent !== news.free.text) {
      free.dataset.free = news.free.free;
      say(free, news.free.text);
      const gauge = free.querySelector(".af-gauge");
      gauge.style.setProperty("--free", news.free.free);
      gauge.style.setProperty("--total", news.free.total);
      gauge.classList.toggle("af-countable", news.free.total > 0 && news.free.total <= 16);
      free.classList.remove("af-changed");
      void free.offsetWidth; // begins the animation again
      free.classList.add("af-changed");
    }
    for (const [key, choice] of Object.entries(news.choices)) showChoice(card, key, choice);
  };
  const showChoice = (card, key, { why, blocked, notes, most, most_shown }) => {
    const control = [...card.querySelectorAll(".af-control")].find((each) => each.dataset.control === key);
    if (!control) return;
    say(control.querySelector("[data-why]"), why);
    for (const item of control.querySelectorAll("input[type=radio], option:not([data-own])")) {
      item.disabled = blocked.includes(item.value);
      item.dataset.note = notes[item.value] ?? "";
    }
    note(control);
    const range = control.querySelector("input[type=range]");
    if (range && most !== null && range.max !== String(most)) {
      range.max = most;
      say(control.querySelector("[data-most]"), most_shown);
      range.dispatchEvent(new Event("input", { bubbles: true }));
    }
  };
  const showUsage = (shares) => {
    part("usage").hidden = !shares.length;
    const made = (tag, name, text = "") => {
      const element = document.createElement(tag);
      if (name) element.className = name;
      element.textContent = text;
      return element;
    };
    part("meters").replaceChildren(
      ...shares.flatMap((share) => [
        made("h3", "", share.title),
        ...share.meters.map((meter) => {
          const line = made("div", meter.full ? "af-meter af-full" : "af-meter");
          line.append(made("span", "af-what", meter.what), made("span", "af-much", meter.text));
          if (meter.part !== null) {
            const bar = made("span", "af-bar");
            bar.setAttribute("aria-hidden", "true");
            const filled = made("span");
            filled.style.setProperty("--part", meter.part);
            bar.append(filled);
            line.append(bar);
          }
          return line;
        }),
      ]),
    );
  };
  const tell = (state, words) => {
    const live = part("live");
    live.dataset.state = state;
    say(live, words);
  };

  // where the hub's page tells nothing of itself, there is nobody to ask
  const hub = window.jhdata;
  const address = () => {
    const query = new URLSearchParams({ user: root.dataset.user, server: root.dataset.server, _xsrf: hub.xsrf_token });
    return `${hub.base_url}api/af/profiles?${query}`;
  };
  const live = hub && cards.length ? afFollow({ address, show, tell }) : { watch: () => {}, stop: () => {} };

  // what the hub writes above its form after a refused start
  const refused = document.querySelector(".spawn-error-msg");
  if (refused) {
    say(refused, refused.textContent.trim().replace(/^Error:\s*/, ""));
    refused.classList.replace("alert-danger", "alert-warning");
    refused.setAttribute("role", "alert");
  }

  for (const card of cards) card.dataset.blocked = radio(card).disabled ? part("reason", card).textContent.trim() : "";
  nameOwn();
  refresh();
  live.watch();
})();
