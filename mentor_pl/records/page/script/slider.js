// The slider for γ_p: what another threshold would have guided, on the text as it is.

const POSITIONS = 1000; // the last is ∞, no guidance
const SMALLEST = 0.01; // nats

// Positions are logarithms: from SMALLEST to twice the largest entropy or the run's own γ_p.
function ceiling(data) {
  data.ceiling ??= 2 * Math.max(data.arrays.entropies.reduce((a, b) => (b > a && b < Infinity ? b : a), 0.5), data.told.gamma ?? 0);
  return data.ceiling;
}

function gammaAt(data, position) {
  if (position >= POSITIONS) return Infinity;
  return SMALLEST * (ceiling(data) / SMALLEST) ** (position / (POSITIONS - 1));
}

function positionOf(data, gamma) {
  if (gamma === null || gamma === Infinity) return POSITIONS;
  const share = Math.log(Math.max(gamma, SMALLEST) / SMALLEST) / Math.log(ceiling(data) / SMALLEST);
  return Math.round(Math.min(1, share) * (POSITIONS - 1));
}

function drawSlider(place) {
  const { data } = state;
  const range = make("input", {
    type: "range", id: "gamma", min: 0, max: POSITIONS, step: 1, "aria-label": "threshold γ_p",
    oninput: () => change({ gamma: gammaAt(data, Number(range.value)) }),
  });
  const number = make("input", {
    type: "number", id: "gamma-number", min: 0, step: "any", placeholder: "none", "aria-label": "threshold γ_p in nats",
    onchange: () => { const value = Number(number.value); change({ gamma: number.value !== "" && value > 0 ? value : null }); },
  });
  const reset = button("as run", "the run's own γ_p", () => change({ gamma: null }), { id: "gamma-reset" });
  const table = make("table", { class: "shares", "aria-label": "guided shares" });
  place.replaceChildren(
    make("div", { class: "slide" }, make("label", { for: "gamma", class: "label" }, symbol("γ_p")), range, number, reset),
    table, make("p", { class: "quiet gate-note" },
      swatch("gained", "would be guided"), swatch("lost", "would not"), symbol(gateNote(data))));
  refreshSlider(place);
}

function refreshSlider(place) {
  const { data } = state;
  const range = place.querySelector("#gamma");
  if (!range) return;
  const gamma = state.gamma ?? data.told.gamma;
  if (Number(range.value) !== positionOf(data, gamma)) range.value = positionOf(data, gamma);
  range.setAttribute("aria-valuetext", gamma === null || gamma === Infinity ? "infinite: no guidance" : `${short(gamma)} nats`);
  place.querySelector("#gamma-number").value = gamma === null || gamma === Infinity ? "" : Number(gamma.toPrecision(4));
  place.querySelector("#gamma-reset").disabled = state.gamma === null;
  place.querySelector("table").replaceChildren(...shareRows(data));
}

// Of each kind in the step, and of the rollout that is open: the share as run, and at the slider.
function shareRows(data) {
  const kinds = KINDS.map((name, kind) => [name, data.rows.map((_, row) => row).filter((row) => data.rows[row].kind === kind)]);
  const groups = kinds.filter(([name, rows]) => rows.length && name !== "demonstration");
  groups.push(["this rollout", [state.row]]);
  const moved = state.gamma !== null;
  const found = groups.map(([, rows]) => shares(data, rows, state.gamma));
  const head = make("tr", {}, make("td"), ...groups.map(([name], i) => make("th", { scope: "col", text: name, title: found[i].thrown ? "" : "no coin was thrown: what is to be expected, the mean of w" }, found[i].thrown ? null : make("sup", { text: "†" }))));
  const cells = (label, key, of) => make("tr", { "data-shares": key }, make("th", { scope: "row" }, symbol(label)),
    ...found.map((one) => make("td", { text: of(one) })));
  return [head,
    cells("guided, as run", "run", (one) => percent(one.run)),
    cells(moved ? `at γ_p = ${state.gamma === Infinity ? "∞" : short(state.gamma)}` : "at the slider", "slider",
      (one) => (moved ? percent(one.at) : "–"))];
}

function gateNote(data) {
  const gate = data.told.entropy_gate;
  const notes = ["On the texts as they are. † expected: the mean of min(1, H / γ_p)."];
  if (data.told.blend) notes.unshift("The step drew from a blend: guided is a token whose draft fell, which its coin does not decide alone. The slider throws the same coins for a gate.");
  if (gate === null) notes.unshift("Nothing was guided by a threshold at this step.");
  else if (gate < 0.999) notes.unshift(`Only ${percent(gate)} of the mixed tokens had w = min(1, H / γ_p); the slider takes all to.`);
  return notes.join(" ");
}
