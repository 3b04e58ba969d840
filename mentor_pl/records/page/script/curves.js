// The run's curves above everything: the step that is open is a line in each, and a click opens the step next to it.

function drawCurves() {
  const pictures = joined();
  const rest = () => state.data?.told.step;
  const pick = (step) => openStep(state.data.run, nearest(state.data.run, step));
  at("curves").replaceChildren(...pictures.map((one) => plotLines(one, rest, pick)));
  if (!pictures.length) at("curves").append(make("p", { class: "quiet", text: "No metrics.csv in the run's folder: no curves." }));
}

const COLOUR_OF = { policy: "policy", mixture: "mixture", demonstration: "demonstration", guided: "policy", replaced: "mixture" };

// The pictures of both runs as one: {title, lines: [{name, colour, run, steps, values}]}.
function joined() {
  const pictures = new Map();
  state.runs.forEach((run, place) => {
    for (const { title, lines } of run.curves) {
      if (!pictures.has(title)) pictures.set(title, []);
      pictures.get(title).push(...lines.map((line) => ({ ...line, colour: COLOUR_OF[line.name], run: place })));
    }
  });
  return Array.from(pictures, ([title, lines]) => ({ title, lines }));
}

function markStep() {
  for (const element of document.querySelectorAll("#curves .curve")) if (state.data) element.show(state.data.told.step);
}

watch(["data"], markStep);
