// All that is known of a token, and of its three distributions the likeliest.

const LAW_NAMES = [["π_θ", "policy"], ["π*", "expert"], ["π_mix", "mixture"]];

function drawFacts() {
  const panel = at("facts");
  const one = state.hovered ?? state.pinned;
  panel.classList.toggle("held", state.pinned !== null);
  if (!one) {
    panel.replaceChildren(
      make("h2", { text: "token" }),
      make("p", { class: "quiet", text: "Point at a token, click it, or move to it with the arrow keys." }));
    return;
  }
  const { data, row } = one;
  const token = data.first(row) + one.token;
  const entry = data.token(token);
  panel.replaceChildren(
    make("h2", { text: `token ${one.token + 1} of ${data.length(row)}` }),
    make("p", { class: "piece" }, visibleToken(entry)),
    make("dl", { class: "facts" }, factsOf(data, token, entry).flatMap(([name, value, says, field]) => [
      make("dt", { title: says }, symbol(name)),
      make("dd", { "data-fact": field }, value instanceof Array ? value : [String(value)]),
    ])),
    ...laterFacts(data, row, one.token),
    ...distributions(data, token, entry),
    ...forkCommand(data, row, one.token));
}

// [name, value, what it is, field] of what is known.
function factsOf(data, token, entry) {
  const yes = (flag) => (data.has(token, flag) ? "yes" : "no");
  const draft = data.draft(token);
  const coin = data.coin(token);
  const facts = [
    ["id", entry.id, "number in the vocabulary", "id"],
    ["log π_old", fixed(data.logprob(token)), "of the token under the policy that sampled, in nats", "logprob"],
    ["H", fixed(data.entropy(token)), "entropy of the policy, in nats", "entropy"],
    ["w", fixed(data.weight(token)), "the expert's share of the law it was drawn from", "weight"],
    ["coin", coin === null ? "none" : fixed(coin), data.told.blend ? "the draft fell where the blend had too little of it for this coin" : "guided where it is at most w", "coin"],
    ["guided", yes("guided"), data.told.blend ? "its draft fell" : "the token is the expert's", "guided"],
    ["replaced", yes("replaced"), "it differs from the policy's draft", "replaced"],
  ];
  if (draft) facts.push(["fallen draft", visibleToken(draft).concat([make("span", { class: "quiet", text: ` ${draft.id}` })]), "what the policy would have said", "draft"]);
  if (data.has(token, "given")) facts.push(["given", "yes", "it was not sampled", "given"]);
  facts.push(["advantage", fixed(data.advantage(token)), "as the update used it", "advantage"]);
  facts.push(["trained on", yes("trained"), "the loss reads it", "trained"]);
  if (data.divergence(token) !== null) facts.push([data.told.measure.name, fixed(data.divergence(token)), data.told.measure.says, "divergence"]);
  if (data.optional("expert_logprobs", token) !== null) facts.push(["log π*", fixed(data.optional("expert_logprobs", token)), "of the token under the expert, in nats", "expert_logprob"]);
  if (data.optional("reference_logprobs", token) !== null) facts.push(["log π_ref", fixed(data.optional("reference_logprobs", token)), "of the token under the reference, in nats", "reference_logprob"]);
  if (state.gamma !== null) facts.push([`w at γ_p = ${short(state.gamma)}`, fixed(gateWeight(data.entropy(token), state.gamma)), "by the slider", "slider_weight"]);
  return facts;
}

function distributions(data, token, entry) {
  const laws = data.likeliest(token);
  if (!laws) {
    const why = data.told.k ? "Distributions are recorded at guided tokens only." : "This record has no distributions: give callbacks.RolloutRecord its alternatives.";
    return [make("p", { class: "quiet", text: why })];
  }
  const draft = data.draft(token);
  return laws.map((law, i) => make("section", { class: `law ${LAWS[i]}`, "aria-label": `likeliest tokens of the ${LAW_NAMES[i][1]}` },
    make("h3", {}, symbol(LAW_NAMES[i][0]), make("span", { class: "quiet", text: ` ${LAW_NAMES[i][1]}` })),
    make("ol", {}, law.map((one) => {
      const bar = make("span", { class: "bar" });
      bar.style.setProperty("--share", one.probability);
      const role = one.id === entry.id ? "taken" : draft && one.id === draft.id ? "fell" : "";
      return make("li", { class: role, title: role === "taken" ? "the token itself" : role === "fell" ? "the draft that fell" : "" },
        make("span", { class: "name" }, visibleToken(one)), bar, make("span", { class: "number", text: fixed(one.probability) }),
        make("span", { "aria-hidden": "true", text: role === "taken" ? "◂" : "" }));
    }))));
}

watch(["hovered", "pinned", "gamma", "data"], drawFacts);
