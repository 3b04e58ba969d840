// Rollouts of one prompt beside each other: policy and mixture of a run, or those of two runs.

function drawKinds(place) {
  const { data, row } = state;
  const rows = data.rowsOf(data.told.prompt[row]);
  const side = (kinds) => rows.filter((one) => kinds.includes(data.rows[one].kind));
  const [policy, others] = [side([0]), side([1, 2])];
  place.replaceChildren(promptOf(data, row), ...(policy.length && others.length
    ? [make("div", { class: "columns" }, column("policy", data, policy), column(kindsOf(data, others).join(" and "), data, others))]
    : [heading(kindsOf(data, rows).join(" and "), data, rows, "; the best rewarded first, as there is nothing to set against them"),
       make("div", { class: "columns cards" }, byReward(data, rows).map((one) => card(data, one)))]));
}

const kindsOf = (data, rows) => KINDS.filter((_, kind) => rows.some((row) => data.rows[row].kind === kind));
const byReward = (data, rows) => rows.toSorted((a, b) => (data.rows[b].reward ?? -Infinity) - (data.rows[a].reward ?? -Infinity) || a - b);

// What the view is called: by the kinds of the step that can stand beside each other.
function kindsTitle(data) {
  const [policy, ...others] = KINDS.filter((_, kind) => data.told.origin.includes(kind));
  return policy === "policy" && others.length ? `policy | ${others.join(", ")}` : "side by side";
}

// The same prompt of the same step, or of the step next to it, in the other run.
async function drawRuns(place) {
  const { data, row } = state;
  const other = 1 - data.run;
  const step = nearest(other, data.told.step);
  const beside = await load(other, step);
  if (state.data !== data || state.row !== row || state.view !== "runs") return;
  const problem = data.prompt(row).problem;
  const prompt = beside.told.prompts.findIndex((one) => one.problem === problem);
  const sides = [
    [data.run, column(nameOfRun(data), data, data.rowsOf(data.told.prompt[row]))],
    [other, prompt >= 0
      ? column(nameOfRun(beside), beside, beside.rowsOf(prompt))
      : make("section", {}, make("h3", { text: nameOfRun(beside) }), make("p", { class: "quiet", text: `Problem ${problem} is not among its rollouts of step ${step} here.` }))],
  ];
  sides.sort((a, b) => a[0] - b[0]);
  place.replaceChildren(promptOf(data, row), make("div", { class: "columns" }, sides.map(([, section]) => section)));
  mark(place);
}

const nameOfRun = (data) => `${oneLine(state.runs[data.run].name, 60)}, step ${data.told.step}`;

function column(title, data, rows) {
  return make("section", { "aria-label": title }, heading(title, data, rows), rows.map((row) => card(data, row)));
}

function heading(title, data, rows, more = "") {
  const rewards = rows.map((row) => data.rows[row].reward).filter((reward) => reward !== null);
  const mean = rewards.length ? `, mean reward ${(rewards.reduce((a, b) => a + b, 0) / rewards.length).toFixed(2)}` : "";
  const says = `  ${rows.length} ${rows.length === 1 ? "rollout" : "rollouts"}${mean}${more}`;
  return make("h3", {}, make("bdi", { text: title }), make("span", { class: "quiet", text: says }));
}

// Which of them is the one that is open.
function mark(place) {
  for (const element of place.querySelectorAll(".card")) {
    const one = shown.get(element.querySelector(".tokens"));
    element.classList.toggle("open", one.data === state.data && one.row === state.row);
  }
}
