// One rollout: its prompt, its numbers, and its response.

function drawRollout(place) {
  const { data, row } = state;
  place.replaceChildren(promptOf(data, row), card(data, row));
}

function promptOf(data, row) {
  const one = data.prompt(row);
  const text = make("div", { class: "text" }, visible(one.prompt, false));
  const short = one.prompt.length <= 600;
  return make("details", { class: "prompt", open: short },
    make("summary", {}, make("b", { text: `problem ${one.problem}` }), make("span", { class: "quiet", text: ` ${count(one.tokens)} prompt tokens` }),
      make("span", { class: "quiet", text: "  answer " }), make("bdi", { class: "mono", text: oneLine(one.answer, 80) })),
    text);
}

// A rollout's numbers above its tokens.
function card(data, row, attributes = {}) {
  const one = data.rows[row];
  const label = `response: ${KINDS[one.kind]} rollout ${data.told.number[row]}`;
  const parts = Object.entries(data.told.parts).filter(([, values]) => values[row] !== null);
  const numbers = [
    ["reward", one.reward === null ? "not graded" : one.reward.toFixed(2)],
    ...parts.map(([name, values]) => [oneLine(name, 30), fixed(values[row], 2)]),
    ["tokens", `${count(one.length)}${one.truncated ? ", cut off" : ""}`],
    ["mean H", fixed(one.entropy, 2)],
  ];
  if (one.kind === 1) numbers.push(["mean w", fixed(one.weight, 2)], ["guided", percent(one.guided)], ["replaced", count(one.replaced)]);
  const header = make("header", {}, glyph(one.kind), make("b", { text: `${KINDS[one.kind]} ${data.told.number[row]}` }),
    ...numbers.map(([name, value]) => make("span", { class: "fact" }, make("span", { class: "quiet", text: `${name} ` }), value)));
  const tokens = response(data, row, label);
  const plain = data.told.text[row];
  const body = [tokens];
  if (plain !== null) {
    body.push(make("details", { class: "plain" },
      make("summary", { class: "quiet", text: "as text: its tokens one by one are not quite it" }), make("div", { class: "text" }, visible(plain, false))));
  }
  return make("article", { class: "card", "data-row": row, "aria-label": label, ...attributes }, header, ...body);
}
