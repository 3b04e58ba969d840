// Keys: nothing needs the pointer.

function listenToKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || at("help").open) return;
    if (event.key === "Escape") { leave(event); return; }
    if (isField(event.target)) return;
    const act = KEYS[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}

const KEYS = {
  ArrowLeft: () => moveToken(-1),
  ArrowRight: () => moveToken(1),
  ArrowUp: () => moveRow(-1),
  ArrowDown: () => moveRow(1),
  k: () => moveRow(-1),
  j: () => moveRow(1),
  Home: () => moveToken(-Infinity),
  End: () => moveToken(Infinity),
  n: () => moveToGuided(1),
  N: () => moveToGuided(-1),
  "[": () => goToStep(-1),
  "]": () => goToStep(1),
  "/": () => { at("search").focus(); at("search").select(); },
  "?": () => openHelp(),
  t: () => toggleTheme(),
  v: () => nextView(),
  ...Object.fromEntries(Object.keys(COLOURS).map((name, i) => [String(i + 1), () => change({ colour: name })])),
};

const isField = (target) => target instanceof Element && target.matches("input, select");

// Out of a field first, then out of the search, then off the token.
function leave(event) {
  if (isField(event.target)) {
    if (event.target.id === "search" && state.query) change({ query: "" });
    else event.target.blur();
    event.preventDefault();
  } else if (state.query) change({ query: "" });
  else { document.activeElement?.blur(); change({ pinned: null, hovered: null }); }
}

const tokenNow = () => (state.pinned && state.pinned.data === state.data ? state.pinned.token : -1);

function moveToken(by) {
  const { data, row } = state;
  if (!data || !data.length(row)) return;
  const last = data.length(row) - 1;
  const next = tokenNow() < 0 ? (by === Infinity ? last : 0) : Math.min(last, Math.max(0, tokenNow() + by));
  goToToken(row, next);
}

// To the next token that is replaced; where a rollout has none, that is guided.
function moveToGuided(by) {
  const { data, row } = state;
  const first = data.first(row);
  const places = Array.from({ length: data.length(row) }, (_, i) => i);
  const wanted = ["replaced", "guided"].map((flag) => places.filter((i) => data.has(first + i, flag))).find((some) => some.length);
  if (!wanted) { say("no guided token in this rollout"); return; }
  const now = tokenNow();
  const next = by > 0 ? wanted.find((i) => i > now) ?? wanted[0] : wanted.findLast((i) => i < now) ?? wanted.at(-1);
  goToToken(row, next);
}

function goToToken(row, token) {
  change({ hovered: null });
  pin({ data: state.data, row, token });
  focusToken(row, token);
}

function moveRow(by) {
  const place = state.listed.indexOf(state.row);
  const next = state.listed[place < 0 ? 0 : Math.min(state.listed.length - 1, Math.max(0, place + by))];
  if (next !== undefined && next !== state.row) openRow(next);
}

function nextView() {
  const views = viewNames();
  change({ view: views[(views.indexOf(state.view) + 1) % views.length] });
}
