// What was found of a replaced token later, among its facts: log π of both tokens since, and what forks were worth.

function laterFacts(data, row, token) {
  const place = data.first(row) + token;
  if (!data.has(place, "replaced")) return [];
  const [scores, forks] = [data.absorbed.get(place), data.forks.get(place)];
  return [
    scores ? absorbedFacts(data, scores) : null,
    forks ? make("section", { class: "later", "aria-label": "forks" }, make("h3", { text: "worth of this token" }), forks.map(forkFacts)) : null,
  ].filter(Boolean);
}

// The command that measures what the token was worth.
function forkCommand(data, row, token) {
  if (!data.has(data.first(row) + token, "replaced")) return [];
  const command = `${state.runs[data.run].fork} --step ${data.told.step} --rollout ${data.told.places[row]} --token ${token}`;
  return [make("p", { class: "quiet", text: "what it was worth, measured by going on without it:" }), make("code", { class: "command", text: oneLine(command, 2000) })];
}

// log π as a curve, and its numbers.
function absorbedFacts(data, { then, at: steps, expert, draft }) {
  const all = [data.told.step - 1, ...steps];
  const lines = [["expert's", "mixture", [then[0], ...expert]], ["draft", "policy", [then[1], ...draft]]];
  const head = make("tr", {}, ["after step", "expert's", "draft"].map((text) => make("th", { scope: "col", text })));
  return make("section", { class: "later", "aria-label": "absorbed" },
    make("h3", { text: "absorbed?" }),
    make("p", { class: "verdict", text: verdict(then, [expert.at(-1), draft.at(-1)]) }),
    plotLines({ title: "log π", lines: lines.map(([name, colour, values]) => ({ name, colour, steps: all, values })) }, () => all.at(-1)),
    make("div", { class: "scores" }, make("table", {}, head, all.map((step, i) => make("tr", {},
      make("th", { scope: "row", text: i ? count(step) : "when replaced" }), lines.map(([, , values]) => make("td", { text: fixed(values[i]) })))))));
}

function verdict([expertThen, draftThen], [expert, draft]) {
  const likelier = expert > draft
    ? expertThen > draftThen ? "The expert's token is likelier than the draft, as it was" : "Taken over: the expert's token is now likelier than the draft"
    : "Not taken over: the draft is likelier than the expert's token";
  return `${likelier}${expert < expertThen ? "; dropped: it is less likely than when it replaced the draft" : ""}.`;
}

function forkFacts(fork) {
  const rates = [
    ["fell", "draft", { id: fork.draft_id, text: fork.draft_piece }, fork.draft_succeeded, fork.draft_low, fork.draft_high],
    ["taken", "expert's", { id: fork.expert_id, text: fork.expert_piece }, fork.expert_succeeded, fork.expert_low, fork.expert_high],
  ];
  const behind = fork.step - 1 - fork.learned;
  const exact = behind === 0 ? "those that sampled it" : `${count(behind)} ${behind === 1 ? "step" : "steps"} before`;
  return make("div", { class: "fork" },
    make("ol", {}, rates.map(([role, who, token, succeeded, low, high]) => make("li", { class: role },
      make("span", { class: "quiet", text: who }), make("span", { class: "name" }, visibleToken(token)), span(low, succeeded / fork.k, high),
      make("span", { class: "number", text: `${count(succeeded)} of ${count(fork.k)}: ${rate(succeeded / fork.k, low, high)}` })))),
    make("p", { class: "number", text: `difference ${signed(fork.difference)} [${signed(fork.difference_low)}, ${signed(fork.difference_high)}]` }),
    make("p", { class: "quiet", text: `successes of ${count(fork.k)} behind each, by the policy alone, and their intervals at 95 %; weights of ${oneLine(fork.weights, 80)}, ${exact}` }));
}

const signed = (value) => (value > 0 ? "+" : "") + fixed(value, 2);
const rate = (value, low, high) => `${fixed(value, 2)} [${fixed(low, 2)}, ${fixed(high, 2)}]`;

// An interval of a rate as a bar from 0 to 1.
function span(low, value, high) {
  const bar = make("span", { class: "interval", "aria-hidden": "true" });
  for (const [name, share] of Object.entries({ low, value, high })) bar.style.setProperty(`--${name}`, Math.min(1, Math.max(0, share)));
  return bar;
}
