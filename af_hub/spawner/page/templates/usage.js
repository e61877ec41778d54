// The administrators' page: renders the overview, and asks for it again while it is seen.
(() => {
  "use strict";
  const part = (name) => document.querySelector(`[data-af="${name}"]`);
  const made = (tag, name, ...inside) => {
    const element = document.createElement(tag);
    if (name) element.className = name;
    element.append(...inside);
    return element;
  };
  const bar = (share) => {
    const filled = made("span");
    filled.style.setProperty("--part", share);
    const whole = made("span", "af-bar", filled);
    whole.setAttribute("aria-hidden", "true");
    return whole;
  };
  const withBar = (element, { text, part: share, full }) => {
    if (full) element.classList.add("af-full");
    element.append(text, ...(share === null ? [] : [bar(share)]));
    return element;
  };
  const head = (text, code) => {
    const cell = made("th", "", text, ...(code ? [made("code", "af-code", code)] : []));
    cell.scope = "row";
    return cell;
  };
  const nothing = (columns, text) => {
    const cell = made("td", "af-nothing", text);
    cell.colSpan = columns;
    return [made("tr", "", cell)];
  };

  const tile = (what, much, share = null, full = false) => {
    const item = made("li", full ? "af-full" : "", made("span", "af-tile-much", String(much)), made("span", "af-tile-what", what));
    if (share !== null) item.append(bar(share));
    return item;
  };
  const model = ({ name, free, total, owners }) => {
    const box = made("div", "af-model", made("h3", "", name));
    if (total !== null) {
      box.append(bar(total ? (total - free) / total : 0), made("p", "", `${free} of ${total} free`));
    }
    const list = made("ul", "af-owners");
    for (const [owner, number] of owners) {
      list.append(made("li", "", made("span", "", owner), made("span", "", String(number))));
    }
    box.append(owners.length ? list : made("p", "af-nothing", "nobody has one"));
    return box;
  };
  const group = ({ name, users, meters }) => {
    const row = made("tr", "", head(name), made("td", "", String(users)));
    row.append(...meters.map((meter) => withBar(made("td"), meter)));
    return row;
  };
  const refusal = ({ reason, meaning, hour, day, total }) =>
    made("tr", "", head(meaning, reason), ...[hour, day, total].map((each) => made("td", "", String(each))));

  const show = (overview) => {
    part("totals").replaceChildren(
      tile("users with a server", overview.users),
      ...overview.totals.map(({ what, text, part: share, full }) => tile(what.toLowerCase().replace("gpus", "GPUs"), text, share, full)),
    );
    part("not-counted").hidden = overview.counted;
    part("models").replaceChildren(
      ...(overview.models.length ? overview.models.map(model) : [made("p", "af-nothing", "There are no GPUs here.")]),
    );
    part("groups").replaceChildren(...(overview.groups.length ? overview.groups.map(group) : nothing(6, "Nobody runs anything.")));
    part("refusals").replaceChildren(
      ...(overview.refusals.length ? overview.refusals.map(refusal) : nothing(4, "Nothing was refused since the hub started.")),
    );
  };
  const tell = (state, words) => {
    part("live").dataset.state = state;
    const place = part("live").querySelector("[data-text]");
    if (place.textContent !== words) place.textContent = words;
  };

  const EVERY = 3_000;
  let timer = 0;
  const ask = async () => {
    const { base_url: hub, xsrf_token: token } = window.jhdata;
    try {
      const answer = await fetch(`${hub}api/af/usage?_xsrf=${encodeURIComponent(token)}`, { signal: AbortSignal.timeout(10_000) });
      if (!answer.ok) throw new Error(answer.status);
      show(await answer.json());
      tell("on", "Live");
    } catch {
      tell("off", "The hub does not answer; these numbers may be old.");
    }
    wait();
  };
  const wait = () => {
    clearTimeout(timer);
    if (!document.hidden) timer = setTimeout(ask, EVERY);
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : ask()));
  show(JSON.parse(part("first").textContent));
  wait();
})();
