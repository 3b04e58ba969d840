// Puts the page together, and opens what its address names: #run/step/rollout/token.

const VIEWS = {
  rollout: ["rollout", drawRollout],
  kinds: [null, drawKinds], // called by what the step has
  runs: ["run | run", drawRuns],
  map: ["map", drawMap],
  later: ["absorbed, forks", drawLater],
};

const viewNames = () => Object.keys(VIEWS).filter((name) => ({ runs: state.runs.length > 1, later: hasLater() })[name] ?? true);

function drawMain(main) {
  const views = make("div", { id: "views" });
  const legend = make("div", { id: "legend", class: "bar-of-controls" });
  const slider = make("div", { id: "slider", class: "bar-of-controls" });
  const view = make("div", { id: "view" });
  main.replaceChildren(views, legend, slider, view);
  const title = (name) => (name === "kinds" ? kindsTitle(state.data) : VIEWS[name][0]);
  const drawViews = () => views.replaceChildren(switches("view", viewNames().map((name) => [name, title(name), `view: ${title(name)} (v)`]), state.view, (chosen) => change({ view: chosen })));
  let drawn = "";
  const drawView = (anew = true) => {
    if (!state.data) return;
    const what = shownBy(state.view);
    view.className = state.view;
    slider.hidden = state.view === "later";
    legend.hidden = ["map", "later"].includes(state.view); // which have colours of their own
    if (anew || what !== drawn) VIEWS[state.view][1](view);
    drawn = what;
    mark(view);
  };
  watch(["view", "data"], drawViews);
  watch(["data", "view", "row"], () => drawView(false));
  watch(["listed", "theme", "gamma"], () => { if (state.view === "map") drawView(); });
  watch(["data", "colour", "gamma"], () => drawLegend(legend));
  watch(["data"], () => drawSlider(slider));
  watch(["gamma", "row"], () => { if (state.data) refreshSlider(slider); });
  view.addEventListener("click", (event) => {
    const one = event.target.closest(".card")?.querySelector(".tokens");
    if (one && shown.get(one).data === state.data) change({ row: shown.get(one).row });
  });
}

// What a view depends on: those of a prompt stay as they are when another of its rollouts is opened, those of all always.
function shownBy(view) {
  const { data, row } = state;
  const part = { rollout: row, kinds: data.told.prompt[row], runs: data.told.prompt[row], map: 0, later: 0 }[view];
  return `${view} ${data.run} ${data.told.step} ${part}`;
}

function writeAddress() {
  const { data, row, pinned } = state;
  if (!data) return;
  const token = pinned && pinned.data === data && pinned.row === row ? `/${pinned.token}` : "";
  history.replaceState(null, "", `#${data.run}/${data.told.step}/${row}${token}`);
}

async function openAddress() {
  const [run, step, row, token] = (location.hash.match(/\d+/g) ?? []).map(Number);
  const known = state.runs[run]?.steps.includes(step);
  await openStep(known ? run : 0, known ? step : state.runs[0].steps.at(-1), known ? row ?? null : null, known ? token ?? -1 : -1);
}

async function start() {
  const { told } = await unpack(at("index").textContent);
  change({ runs: told.runs });
  drawHelp();
  drawHeader();
  drawSide(at("side"));
  drawMain(at("main"));
  drawFacts();
  drawCurves();
  listenToTokens();
  listenToKeys();
  watch(["data", "row", "pinned"], writeAddress);
  await openAddress();
  addEventListener("hashchange", openAddress);
  document.documentElement.dataset.ready = "";
}

start();
