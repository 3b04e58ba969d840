// What tokens are coloured by, and what the colours say.

function drawLegend(place) {
  const choices = Object.entries(COLOURS).map(([value, { name, says }], i) => [value, name, `colour by ${name}: ${says} (${i + 1})`]);
  place.replaceChildren(
    make("span", { class: "label", text: "colour" }),
    switches("colour of the tokens", choices, state.colour, (chosen) => change({ colour: chosen })),
    make("div", { class: "legend", "aria-label": "legend" }, legendOf(state.data)));
}

function legendOf(data) {
  const top = limits(data);
  switch (state.colour) {
    case "entropy": return ramp("0", `≥ ${fixed(top.entropy, 2)} nats`);
    case "weight": return ramp("w = 0", state.gamma === null ? "1" : `1, at γ_p = ${short(state.gamma)}`);
    case "advantage": return !top.advantage ? [make("span", { text: "every advantage of this step is 0" })] : [...ramp(fixed(-top.advantage, 2), "0", "below"), ...ramp("", `+${fixed(top.advantage, 2)}`)];
    case "guidance": return [swatch("guided", "guided"), swatch("replaced", "guided and replaced"), ...given(data)];
    default: return [swatch("replaced", "replaced: the draft is struck out"), ...given(data)];
  }
}

const ramp = (from, to, side = "") => [make("span", { text: from }), make("span", { class: `ramp ${side}`, "aria-hidden": "true" }), make("span", {}, symbol(to))];

const swatch = (mark, text) => make("span", { class: "swatch" }, make("span", { class: `token ${mark}`, text: "abc", "aria-hidden": "true" }), text);

const given = (data) => (data.arrays.flags.some((flag) => flag & FLAG.given) ? [swatch("given", "given, not sampled")] : []);
