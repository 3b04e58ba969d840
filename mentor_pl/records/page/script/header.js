// Which run and step are open, what the step was sampled with, and what of the record the page has not.

function drawHeader() {
  const header = at("header");
  const step = make("select", { id: "step", "aria-label": "step", onchange: () => openStep(state.data.run, Number(step.value)) });
  const run = make("select", { id: "run", "aria-label": "run", onchange: () => openStep(Number(run.value), nearest(Number(run.value), state.data.told.step)) },
    state.runs.map((one, place) => make("option", { value: place, text: oneLine(one.name, 60) })));
  const facts = make("p", { id: "step-facts" });
  header.replaceChildren(
    make("h1", {}, "mentor view"),
    state.runs.length > 1 ? run : make("bdi", { class: "run", text: oneLine(state.runs[0].name, 80), title: state.runs[0].folder }),
    make("div", { class: "stepper" }, button("‹", "step before ([)", () => goToStep(-1), { id: "before" }),
      make("label", { for: "step", class: "label", text: "step" }), step, button("›", "next step (])", () => goToStep(1), { id: "after" })),
    facts,
    make("span", { class: "space" }),
    button("◐", "dark or light (t)", toggleTheme, { id: "theme" }), button("?", "keys (?)", openHelp, { id: "help-button" }));
  watch(["data"], () => {
    const { data } = state;
    const { steps } = state.runs[data.run];
    run.value = data.run;
    step.replaceChildren(...steps.map((one) => make("option", { value: one, text: one })));
    step.value = data.told.step;
    at("before").disabled = steps[0] === data.told.step;
    at("after").disabled = steps.at(-1) === data.told.step;
    facts.replaceChildren(...stepFacts(data));
  });
  const missing = state.runs.filter((one) => one.left_out).map((one) => `${oneLine(one.name, 60)}: ${one.left_out}`);
  at("left-out").hidden = !missing.length;
  at("left-out").textContent = `Not in this page: ${missing.join("; ")}. \`mentor view\` takes other ones by --steps, and more by --megabytes.`;
}

function stepFacts({ told }) {
  const facts = [["γ_p", told.gamma === null ? "none" : short(told.gamma)], ["α", fixed(told.alpha, 2)], ["T", fixed(told.temperature, 2)],
    ["weights", told.fingerprint.slice(0, 8)], ["updates", count(told.policy_updates)]];
  return facts.map(([name, value]) => make("span", { class: "fact" }, make("span", { class: "quiet" }, symbol(name)), ` ${value}`));
}

function goToStep(by) {
  const { steps } = state.runs[state.data.run];
  const place = steps.indexOf(state.data.told.step) + by;
  if (steps[place] !== undefined) openStep(state.data.run, steps[place]);
}

// Opens a step at a rollout, else at the prompt that was open, else at the first rollout that has a replaced token.
async function openStep(run, step, row = null, token = -1) {
  const before = state.data;
  const data = await load(run, step);
  const prompt = before ? before.prompt(state.row).problem : null;
  const same = data.rows.findIndex((_, one) => data.prompt(one).problem === prompt);
  const told = data.rows.findIndex((one) => one.replaced > 0);
  const chosen = row !== null && row < data.size ? row : Math.max(0, same < 0 ? told : same);
  const pinned = token >= 0 && token < data.length(chosen) ? { data, row: chosen, token } : null;
  change({ data, row: chosen, prompt: -1, hovered: null, pinned });
  document.title = `step ${step} of ${oneLine(state.runs[run].name, 60)} · mentor view`;
}
