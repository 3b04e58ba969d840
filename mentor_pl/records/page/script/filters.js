// What is listed: search, kinds, bounds and order.

function drawFilters(place) {
  const search = make("input", {
    type: "search", id: "search", placeholder: "search in responses   /", "aria-label": "search in the responses of this step",
    autocomplete: "off", spellcheck: "false", oninput: () => change({ query: search.value }),
  });
  const prompt = make("select", { id: "prompt", "aria-label": "prompt", onchange: () => pickPrompt(Number(prompt.value)) });
  const kinds = make("div", { class: "kind-buttons", role: "group", "aria-label": "kinds of rollouts" });
  const sort = make("select", { id: "sort", "aria-label": "order of the rollouts",
    onchange: () => change({ sort: sort.value, descending: sort.value !== "order" }) },
    Object.entries(SORTS).map(([value, [name]]) => make("option", { value, text: name })));
  const turn = button("↓", "turn the order around", () => change({ descending: !state.descending }), { id: "turn" });
  place.replaceChildren(
    search, prompt, kinds,
    make("div", { class: "bounds" },
      bounds("reward", "reward", "any"), bounds("guided", "guided %", "any"),
      make("label", { for: "sort", class: "label", text: "order" }), make("span", { class: "pair" }, sort, turn)));
  const refresh = () => {
    if (search.value !== state.query) search.value = state.query;
    prompt.replaceChildren(...promptOptions());
    prompt.value = state.prompt;
    kinds.replaceChildren(...kindButtons());
    sort.value = state.sort;
    turn.textContent = state.descending ? "↓" : "↑";
  };
  watch(["data", "query", "prompt", "kinds", "sort", "descending"], refresh);
  refresh();
}

// Two numbers, from and to; an empty one is no bound.
function bounds(name, label) {
  const inputs = ["from", "to"].map((end, i) => make("input", {
    type: "number", step: "any", id: `${name}-${end}`, placeholder: end, "aria-label": `${label} ${end}`,
    oninput: (event) => {
      const value = event.target.value === "" ? null : Number(event.target.value);
      change({ [name]: state[name].map((bound, j) => (j === i ? value : bound)) });
    },
  }));
  return [make("span", { class: "label", text: label }), make("span", { class: "pair" }, inputs)];
}

function promptOptions() {
  const { prompts } = state.data ? state.data.told : { prompts: [] };
  return [
    make("option", { value: -1, text: `all ${count(prompts.length)} prompts` }),
    ...prompts.map((one, i) => make("option", { value: i, text: `${one.problem}  ${oneLine(one.problem_text, 60)}` })),
  ];
}

// One prompt alone; its first rollout is opened where the one that is open is another's.
function pickPrompt(prompt) {
  change({ prompt });
  if (prompt >= 0 && state.data.told.prompt[state.row] !== prompt && state.listed.length) openRow(state.listed[0]);
}

function kindButtons() {
  const counts = KINDS.map((_, kind) => (state.data ? state.data.told.origin.filter((one) => one === kind).length : 0));
  return KINDS.map((name, kind) => counts[kind] === 0 ? null : make("button", {
    type: "button", class: `kind ${name}`, "aria-pressed": state.kinds[kind], "data-kind": name,
    onclick: () => change({ kinds: state.kinds.map((on, i) => (i === kind ? !on : on)) }),
  }, glyph(kind), `${name} ${count(counts[kind])}`)).filter(Boolean);
}

// Kinds differ in form, too.
const glyph = (kind) => make("span", { class: `glyph ${KINDS[kind]}`, "aria-hidden": "true", text: ["●", "◆", "▲"][kind] });
