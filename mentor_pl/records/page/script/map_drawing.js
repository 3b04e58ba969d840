// The strokes of the map: axes, the threshold, and points that differ in form as well as in colour.

const FONT = "12px system-ui, sans-serif";

function drawAxes(context, data, x, y, width, height) {
  const [line, ink] = [colour("line"), colour("quiet")];
  context.clearRect(0, 0, width, height);
  context.lineWidth = 1;
  for (const value of ticks(x.top)) {
    const left = x.place(value);
    stroke(context, line, [[left, MARGIN.top], [left, height - MARGIN.bottom]]);
    write(context, ink, String(value), left, height - MARGIN.bottom + 16, "center");
  }
  for (const value of ticks(y.top)) {
    const top = y.place(value);
    stroke(context, line, [[MARGIN.left, top], [width - MARGIN.right, top]]);
    write(context, ink, String(value), MARGIN.left - 8, top + 4, "right");
  }
  write(context, ink, "entropy H, nats", (MARGIN.left + width - MARGIN.right) / 2, height - 6, "center");
  context.save();
  context.translate(12, (MARGIN.top + height - MARGIN.bottom) / 2);
  context.rotate(-Math.PI / 2);
  write(context, ink, data.told.measure.name, 0, 0, "center");
  context.restore();
}

// The threshold, right of which every token is the expert's; over the points.
function drawThreshold(context, x, height) {
  const gamma = state.gamma ?? state.data.told.gamma;
  if (gamma !== null && gamma <= x.top) {
    context.setLineDash([5, 4]);
    stroke(context, colour("ink"), [[x.place(gamma), MARGIN.top], [x.place(gamma), height - MARGIN.bottom]]);
    context.setLineDash([]);
    write(context, colour("ink"), `γ_p = ${short(gamma)}`, x.place(gamma) - 6, MARGIN.top + 12, "right", colour("panel"));
  }
}

// A few round numbers up to a largest, closer where the square root spreads them.
function ticks(top) {
  const unit = 10 ** Math.floor(Math.log10(top));
  const steps = [0, 0.1, 0.5, 1, 2, 3, 5, 7, 10].map((step) => Number((step * unit).toPrecision(3)));
  return steps.filter((value) => value <= top);
}

function stroke(context, style, [[left, top], [right, bottom]]) {
  context.strokeStyle = style;
  context.beginPath();
  context.moveTo(left, top);
  context.lineTo(right, bottom);
  context.stroke();
}

// A text with its symbols' indices set low; on a ground of its own where one is given.
function write(context, style, text, left, top, align, ground = null) {
  const parts = text.split(/(_\p{L}+)/u).filter(Boolean).map((part) =>
    part.startsWith("_") ? { text: part.slice(1), font: "9px system-ui, sans-serif", down: 3 } : { text: part, font: FONT, down: 0 });
  for (const part of parts) { context.font = part.font; part.width = context.measureText(part.text).width; }
  const width = parts.reduce((sum, part) => sum + part.width, 0);
  let place = left - { left: 0, center: width / 2, right: width }[align];
  if (ground) { context.fillStyle = ground; context.fillRect(place - 3, top - 12, width + 6, 18); }
  context.fillStyle = style;
  for (const part of parts) { context.font = part.font; context.fillText(part.text, place, top + part.down); place += part.width; }
}

function drawMarks(context, points, mark) {
  context.fillStyle = colour(`point-${mark}`);
  context.globalAlpha = points.length > 5000 ? 0.35 : 0.75;
  const size = mark === "plain" ? 2 : 4;
  for (const { left, top } of points) {
    context.beginPath();
    if (mark === "plain") context.arc(left, top, size, 0, 2 * Math.PI);
    else {
      const corners = mark === "guided" ? [[0, -1], [1, 0], [0, 1], [-1, 0]] : [[0, -1.2], [1.1, 0.9], [-1.1, 0.9]];
      corners.forEach(([dx, dy], i) => context[i ? "lineTo" : "moveTo"](left + size * dx, top + size * dy));
      context.closePath();
    }
    context.fill();
  }
  context.globalAlpha = 1;
}
