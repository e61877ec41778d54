// News of a page while it is seen: a stream; where something between does not let it through, questions.
// address() tells where, show(state) takes what is new, tell(state, words) says how it goes.
const afFollow = ({ address, show, tell }) => {
  const QUIET = 40_000; // the hub says something every 15 s
  const PATIENCE = 10_000;
  const ASK_EVERY = 5_000;
  let stream = null;
  let timer = 0;
  let failures = 0;
  let asked = 0;
  const stop = () => {
    stream?.close();
    stream = null;
    clearTimeout(timer);
  };
  const heard = () => {
    failures = 0;
    tell("on", "Live");
    clearTimeout(timer);
    timer = setTimeout(again, QUIET);
  };
  const again = () => {
    stop();
    failures += 1;
    if (failures > 1) tell("off", "The hub does not answer; these numbers may be old.");
    timer = setTimeout(watch, Math.min(1000 * 2 ** failures, 30_000) * (0.75 + Math.random() / 2));
  };
  const ask = async () => {
    try {
      const answer = await fetch(address(), { signal: AbortSignal.timeout(10_000) });
      if (!answer.ok) throw new Error(answer.status);
      const state = await answer.json();
      if (stream) return; // seen again in between
      show(state);
      tell("on", "Live");
      failures = 3;
      // once a minute the better way is tried again
      asked += 1;
      if (asked % 12 === 0) {
        failures = 2;
        return void watch();
      }
    } catch {
      failures += 1;
      tell("off", "The hub does not answer; these numbers may be old.");
    }
    if (!document.hidden) timer = setTimeout(ask, ASK_EVERY * Math.min(Math.max(1, failures - 2), 6));
  };
  const watch = () => {
    stop();
    if (document.hidden) return;
    if (failures >= 3) return void ask();
    stream = new EventSource(`${address()}&stream=1`);
    timer = setTimeout(again, PATIENCE); // some proxies keep a stream to themselves
    stream.addEventListener("message", ({ data }) => {
      show(JSON.parse(data));
      heard();
    });
    stream.addEventListener("still", heard);
    stream.addEventListener("again", watch);
    stream.addEventListener("error", again);
  };
  document.addEventListener("visibilitychange", watch);
  return { watch, stop };
};
