// Lines over whole numbers, and under them their values: at the number that is pointed at, else at one that is given.

const PLOT = { width: 220, height: 84, left: 4, right: 4, top: 6, bottom: 4 };

// Lines are {name, colour, run, steps, values}, bands {colour, steps, low, high}. `rest()` is the number whose values
// are told while nothing is pointed at, `pick(number)` what a click does. The figure's `show(number)` tells others.
function plotLines({ title, lines, bands = [] }, rest, pick = null) {
  const steps = lines.flatMap((line) => line.steps);
  const values = [...lines.flatMap((line) => line.values), ...bands.flatMap((band) => [...band.low, ...band.high])];
  const span = (some) => [Math.min(...some), Math.max(...some)];
  const [[first, last], [low, high]] = [span(steps), span(values)];
  const x = (step) => PLOT.left + ((step - first) / (last - first || 1)) * (PLOT.width - PLOT.left - PLOT.right);
  const y = (value) => PLOT.height - PLOT.bottom - ((value - low) / (high - low || 1)) * (PLOT.height - PLOT.top - PLOT.bottom);
  const point = (step, value) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`;
  const svg = make("svg:svg", { viewBox: `0 0 ${PLOT.width} ${PLOT.height}`, preserveAspectRatio: "none", "aria-hidden": "true", class: pick ? "picked" : "" });
  const now = make("svg:line", { class: "now", y1: 0, y2: PLOT.height });
  svg.append(now,
    ...(low < 0 && high > 0 ? [make("svg:line", { class: "zero", x1: 0, x2: PLOT.width, y1: y(0), y2: y(0) })] : []),
    ...bands.map((band) => make("svg:polygon", { class: `line ${band.colour}`,
      points: [...band.steps.map((step, i) => point(step, band.high[i])), ...band.steps.map((step, i) => point(step, band.low[i])).reverse()].join(" ") })),
    ...lines.map((line) => make("svg:polyline", { class: lineClass(line), points: line.steps.map((step, i) => point(step, line.values[i])).join(" ") })));
  const keys = make("p", { class: "keys" });
  const element = make("figure", { class: "curve", "data-title": title },
    make("figcaption", {}, make("b", {}, symbol(title)), make("span", { class: "quiet number range", text: `${tidy(low)} – ${tidy(high)}` })), svg, keys);
  const stepAt = (event) => first + ((event.clientX - svg.getBoundingClientRect().left) / svg.clientWidth) * (last - first);
  element.show = (step) => {
    now.setAttribute("x1", x(step));
    now.setAttribute("x2", x(step));
    keys.replaceChildren(...lines.map((line) => make("span", { class: lineClass(line) },
      make("bdi", {}, symbol(line.name)), line.run ? make("span", { text: " 2" }) : null, " ", make("span", { class: "number", text: tidy(valueAt(line, step)) }))));
  };
  svg.addEventListener("pointermove", (event) => element.show(Math.round(stepAt(event))));
  svg.addEventListener("pointerleave", () => element.show(rest() ?? last));
  if (pick) svg.addEventListener("click", (event) => pick(stepAt(event)));
  element.show(rest() ?? last);
  return element;
}

const lineClass = (line) => `line ${line.colour ?? "other"} run-${line.run ?? 0}`;
const tidy = (value) => {
  if (value === null) return "–";
  const size = Math.abs(value);
  return size > 0 && size < 0.0995 ? fixed(value, 1 - Math.floor(Math.log10(size))) : fixed(value, size >= 100 ? 0 : size >= 10 ? 1 : 2);
};

// The last value up to a step; null in front of the first.
function valueAt(line, step) {
  const after = line.steps.findIndex((one) => one > step);
  return after === 0 ? null : line.values[after < 0 ? line.values.length - 1 : after - 1];
}
