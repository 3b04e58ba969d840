// Entropy × divergence of all tokens listed, as points that lead to their tokens.

const POINTS = 60000; // more are not told apart; then one in n is drawn
const STRONGEST = 12;
const MARGIN = { left: 52, right: 14, top: 12, bottom: 40 };

function drawMap(place) {
  const { data } = state;
  if (!data.told.measure) {
    place.replaceChildren(make("p", { class: "quiet", text: "Nothing of the expert was recorded at this step: neither a divergence, nor its log-probabilities, nor its likeliest tokens." }));
    return;
  }
  const points = pointsOf(data);
  const canvas = make("canvas", { id: "map", tabindex: 0, role: "img",
    "aria-label": `entropy and ${data.told.measure.name} of ${count(points.shown.length)} tokens; arrow keys move among them, Enter opens one` });
  const every = points.all > points.shown.length ? `, one in ${Math.ceil(points.all / POINTS)} of ${count(points.all)}` : "";
  place.replaceChildren(
    make("p", { class: "map-note" }, make("b", {}, symbol(data.told.measure.name)), symbol(` ${data.told.measure.says}. `),
      make("span", { class: "quiet", text: `${count(points.shown.length)} tokens of the rollouts listed${every}; both axes are square roots.` })),
    make("div", { class: "legend" }, mapKey("•", "plain", "as drafted"), mapKey("◆", "guided", "guided"), mapKey("▲", "replaced", "replaced")),
    canvas,
    make("h3", { text: "strongest" }), make("ol", { class: "strongest", "aria-label": "tokens of the greatest entropy times divergence" }, strongest(data, points.shown)));
  plot(canvas, data, points.shown);
}

const mapKey = (sign, mark, text) => make("span", { class: "swatch" }, make("span", { class: `point ${mark}`, text: sign, "aria-hidden": "true" }), text);

// {shown: [{row, i, x, y, mark}], all} of tokens whose divergence is known.
function pointsOf(data) {
  const found = [];
  for (const row of state.listed) {
    const first = data.first(row);
    for (let i = 0; i < data.length(row); i++) {
      const y = data.divergence(first + i);
      if (y === null) continue;
      const mark = data.has(first + i, "replaced") ? "replaced" : data.has(first + i, "guided") ? "guided" : "plain";
      found.push({ row, i, x: data.entropy(first + i), y, mark });
    }
  }
  const every = Math.max(1, Math.ceil(found.length / POINTS));
  return { shown: every === 1 ? found : found.filter((_, place) => place % every === 0), all: found.length };
}

function strongest(data, points) {
  const ordered = points.slice().sort((a, b) => b.x * b.y - a.x * a.y).slice(0, STRONGEST);
  return ordered.map((point) => make("li", {}, make("button", { type: "button", onclick: () => openToken(point), class: "lead" },
    make("span", { class: `token ${point.mark}` }, visibleToken(data.token(data.first(point.row) + point.i))),
    make("span", { class: "quiet", text: ` H ${fixed(point.x, 2)}, ${fixed(point.y, 2)}` }))));
}

function openToken(point) {
  openRow(point.row, point.i);
  change({ view: "rollout", hovered: null });
  focusToken(point.row, point.i);
}

// Draws the points and answers the pointer and the keys.
function plot(canvas, data, points) {
  const [width, height] = [canvas.clientWidth || 700, canvas.clientHeight || 420];
  const ratio = window.devicePixelRatio || 1;
  [canvas.width, canvas.height] = [width * ratio, height * ratio];
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  const axis = (values, from, to) => {
    const top = Math.sqrt(values.reduce((a, b) => Math.max(a, b), 0) || 1);
    return { top: top * top, place: (value) => from + (Math.sqrt(Math.max(0, value)) / top) * (to - from) };
  };
  const x = axis(points.map((point) => point.x), MARGIN.left, width - MARGIN.right);
  const y = axis(points.map((point) => point.y), height - MARGIN.bottom, MARGIN.top);
  for (const point of points) [point.left, point.top] = [x.place(point.x), y.place(point.y)];
  drawAxes(context, data, x, y, width, height);
  for (const mark of ["plain", "guided", "replaced"]) drawMarks(context, points.filter((point) => point.mark === mark), mark);
  drawThreshold(context, x, height);
  listenToMap(canvas, data, points);
}

function listenToMap(canvas, data, points) {
  let near = null;
  const move = (point) => {
    near = point;
    canvas.dataset.near = point ? `${point.row}:${point.i}` : "";
    change({ hovered: point ? { data, row: point.row, token: point.i } : null });
  };
  canvas.addEventListener("pointermove", (event) => move(nearestPoint(points, event.offsetX, event.offsetY, 12)));
  canvas.addEventListener("pointerleave", () => move(null));
  canvas.addEventListener("click", () => near && openToken(near));
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && near) { event.preventDefault(); openToken(near); return; }
    const towards = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!towards) return;
    event.preventDefault();
    event.stopPropagation();
    const next = near ? pointTowards(points, near, towards) : points[0];
    if (next) { move(next); say(`H ${fixed(next.x)}, ${data.told.measure.name} ${fixed(next.y)}`); }
  });
}

function nearestPoint(points, left, top, most) {
  let [best, distance] = [null, most * most];
  for (const point of points) {
    const apart = (point.left - left) ** 2 + (point.top - top) ** 2;
    if (apart <= distance) [best, distance] = [point, apart];
  }
  return best;
}

// The nearest point in a direction, within 45° of it.
function pointTowards(points, from, [right, down]) {
  let [best, distance] = [null, Infinity];
  for (const point of points) {
    const [dx, dy] = [point.left - from.left, point.top - from.top];
    const ahead = dx * right + dy * down;
    const aside = Math.abs(dx * down) + Math.abs(dy * right);
    if (ahead > 1 && aside <= ahead && ahead + aside < distance) [best, distance] = [point, ahead + aside];
  }
  return best;
}
