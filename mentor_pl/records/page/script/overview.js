// Over the whole run: how much of what was replaced was taken over and how much dropped, by age; and all its forks.

const hasLater = () => state.runs.some((run) => run.absorbed || run.forks.length);

function drawLater(place) {
  const run = state.runs[state.data.run];
  place.replaceChildren(...absorbedOverview(run.absorbed), ...forkOverview(run.forks));
}

function absorbedOverview(all) {
  if (!all) return [make("p", { class: "quiet", text: "No replaced token was scored again: train with callbacks.AbsorbedTokens." })];
  const { last, scored_at } = all;
  const runs = state.runs.map((run, place) => ({ ...run.absorbed, place })).filter((one) => one.ages);
  const lines = (named) => runs.flatMap((one) => named.map(([name, colour, of]) => ({ name, colour, run: one.place, steps: one.ages, values: of(one) })));
  const oldest = () => Math.max(...runs.flatMap((one) => one.ages));
  const changes = [["expert's token", "mixture", (one) => one.expert.map((q) => q[1])], ["draft", "policy", (one) => one.draft.map((q) => q[1])]];
  const bands = [["expert", "mixture"], ["draft", "policy"]].map(([who, colour]) => ({ colour, steps: all.ages, low: all[who].map((q) => q[0]), high: all[who].map((q) => q[2]) }));
  return [make("section", { class: "overview", "aria-label": "absorbed" },
    make("h3", { text: "absorbed?" }),
    make("p", { class: "verdict", text: `Of ${count(last.tokens)} replaced tokens scored after step ${count(scored_at)}, ${percent(last.taken_over)} are taken over: the expert's token is likelier than the draft that fell (when it replaced it: ${percent(last.taken_over_then)}). ${percent(last.dropped)} are dropped: less likely than they were then.` }),
    make("p", { class: "quiet", text: "By age: updates since the token was replaced, the one from its own rollout included. Lines of changes are medians, bands the middle half." }),
    make("div", { class: "columns" },
      plotLines({ title: "share, by age", lines: lines([["taken over", "mixture", (one) => one.taken_over], ["dropped", "policy", (one) => one.dropped], ["likelier when replaced", "other", (one) => one.taken_over_then]]) }, oldest),
      plotLines({ title: "change of log π, by age", lines: lines(changes), bands }, oldest)),
    make("details", {}, make("summary", { class: "quiet", text: "numbers" }), make("div", { class: "scores" }, ageTable(all))),
    ...[["taken over most", all.most], ["dropped most", all.least]].flatMap(([title, some]) => [make("h3", { text: title }), leads(some, title)]))];
}

function ageTable(all) {
  const columns = [["age", (i) => count(all.ages[i])], ["tokens", (i) => count(all.tokens[i])], ["taken over", (i) => percent(all.taken_over[i])],
    ["when replaced", (i) => percent(all.taken_over_then[i])], ["dropped", (i) => percent(all.dropped[i])],
    ["expert's token", (i) => signed(all.expert[i][1])], ["draft", (i) => signed(all.draft[i][1])]];
  return make("table", {}, make("tr", {}, columns.map(([text]) => make("th", { scope: "col", text }))),
    all.ages.map((_, i) => make("tr", {}, columns.map(([, of]) => make("td", { text: of(i) })))));
}

function leads(some, label) {
  if (!some.length) return make("p", { class: "quiet", text: "none" });
  return make("ol", { class: "strongest", "aria-label": label }, some.map((one) => make("li", {}, leadTo(one, one.position,
    make("span", { class: "quiet number", text: ` step ${count(one.step)}: ${fixed(one.expert_then, 2)} → ${fixed(one.expert_now, 2)}, age ${count(one.age)}` })))));
}

function forkOverview(forks) {
  if (!forks.length) return [];
  return [make("section", { class: "overview", "aria-label": "forks" }, make("h3", { text: "forks" }),
    make("p", { class: "quiet", text: "Success behind the expert's token less that behind the draft, with its interval at 95 %." }),
    make("ol", { class: "strongest" }, forks.toSorted((a, b) => b.difference - a.difference).map((one) => make("li", {}, leadTo(one, one.token,
      make("span", { class: "quiet number", text: ` step ${count(one.step)}: ${signed(one.difference)} [${signed(one.difference_low)}, ${signed(one.difference_high)}] of ${count(one.k)}` }))))))];
}

// A button that opens a replaced token, where its step is in the page.
function leadTo(one, token, ...says) {
  const there = state.runs[state.data.run].steps.includes(one.step);
  return make("button", { type: "button", class: "lead", disabled: !there, title: there ? "" : "its step is not in this page", onclick: () => openFound(one, token) },
    make("s", { class: "draft" }, visibleToken({ id: one.draft_id, text: one.draft_piece })),
    make("span", { class: "token replaced" }, visibleToken({ id: one.expert_id, text: one.expert_piece })), ...says);
}

async function openFound(one, token) {
  const { run } = state.data;
  const { told } = await load(run, one.step);
  const prompt = told.prompts.findIndex(({ rank, group }) => rank === one.rank && group === one.group);
  const row = told.number.findIndex((number, i) => number === one.number && told.prompt[i] === prompt);
  if (row < 0) { say("its rollout is not in this page"); return; }
  change({ view: "rollout" });
  await openStep(run, one.step, row, token);
  focusToken(row, token);
}
