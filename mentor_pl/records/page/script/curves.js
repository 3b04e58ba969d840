// The run's curves above everything: the step that is open is a line in each, and a click opens the step next to it.

const CURVE = { width: 220, height: 84, left: 4, right: 4, top: 6, bottom: 4 };

function drawCurves() {
  const pictures = joined();
  at("curves").replaceChildren(...pictures.map(picture));
  if (!pictures.length) at("curves").append(make("p", { class: "quiet", text: "No metrics.csv in the run's folder: no curves." }));
  markStep();
}

// The pictures of both runs as one: {title, lines: [{name, run, steps, values}]}.
function joined() {
  const pictures = new Map();
  state.runs.forEach((run, place) => {
    for (const { title, lines } of run.curves) {
      if (!pictures.has(title)) pictures.set(title, []);
      pictures.get(title).push(...lines.map((line) => ({ ...line, run: place })));
    }
  });
  return Array.from(pictures, ([title, lines]) => ({ title, lines }));
}

function picture({ title, lines }) {
  const steps = lines.flatMap((line) => line.steps);
  const values = lines.flatMap((line) => line.values);
  const span = (some) => [Math.min(...some), Math.max(...some)];
  const [[first, last], [low, high]] = [span(steps), span(values)];
  const x = (step) => CURVE.left + ((step - first) / (last - first || 1)) * (CURVE.width - CURVE.left - CURVE.right);
  const y = (value) => CURVE.height - CURVE.bottom - ((value - low) / (high - low || 1)) * (CURVE.height - CURVE.top - CURVE.bottom);
  const svg = make("svg:svg", { viewBox: `0 0 ${CURVE.width} ${CURVE.height}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  const now = make("svg:line", { class: "now", y1: 0, y2: CURVE.height });
  const drawn = lines.map((line) => make("svg:polyline", {
    class: lineClass(line), points: line.steps.map((step, i) => `${x(step).toFixed(1)},${y(line.values[i]).toFixed(1)}`).join(" "),
  }));
  svg.append(now, ...drawn);
  const keys = make("p", { class: "keys" });
  const element = make("figure", { class: "curve", "data-title": title },
    make("figcaption", {}, make("b", {}, symbol(title)), make("span", { class: "quiet number range", text: `${tidy(low)} – ${tidy(high)}` })), svg, keys);
  const stepAt = (event) => first + ((event.clientX - svg.getBoundingClientRect().left) / svg.clientWidth) * (last - first);
  const show = (step) => {
    now.setAttribute("x1", x(step));
    now.setAttribute("x2", x(step));
    keys.replaceChildren(...lines.map((line) => make("span", { class: lineClass(line) },
      make("bdi", {}, symbol(line.name)), line.run ? make("span", { text: " 2" }) : null, " ", make("span", { class: "number", text: tidy(valueAt(line, step)) }))));
  };
  svg.addEventListener("pointermove", (event) => show(Math.round(stepAt(event))));
  svg.addEventListener("pointerleave", () => show(state.data ? state.data.told.step : last));
  svg.addEventListener("click", (event) => openStep(state.data.run, nearest(state.data.run, stepAt(event))));
  element.show = show;
  return element;
}

const LINES = { policy: "policy", mixture: "mixture", demonstration: "demonstration", guided: "guided", replaced: "replaced" };
const lineClass = (line) => `line ${LINES[line.name] ?? "other"} run-${line.run}`;
const tidy = (value) => (value === null ? "–" : Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(Math.abs(value) >= 10 ? 1 : 2));

// The last value up to a step, or the first.
function valueAt(line, step) {
  const after = line.steps.findIndex((one) => one > step);
  return after === 0 ? null : line.values[after < 0 ? line.values.length - 1 : after - 1];
}

function markStep() {
  for (const element of document.querySelectorAll("#curves .curve")) if (state.data) element.show(state.data.told.step);
}

watch(["data"], markStep);
