// Rollouts of one prompt beside each other: policy and mixture of a run, or those of two runs.

function drawKinds(place) {
  const { data, row } = state;
  const rows = data.rowsOf(data.told.prompt[row]);
  const side = (kinds) => rows.filter((one) => kinds.includes(data.rows[one].kind));
  place.replaceChildren(promptOf(data, row), make("div", { class: "columns" },
    column("policy", data, side([0])), column(guidedName(side([1]).length, side([2]).length), data, side([1, 2]))));
}

const guidedName = (mixed, given) => (!given ? "mixture" : mixed ? "mixture and demonstrations" : "demonstrations");

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
  const rewards = rows.map((row) => data.rows[row].reward).filter((reward) => reward !== null);
  const mean = rewards.length ? `, mean reward ${(rewards.reduce((a, b) => a + b, 0) / rewards.length).toFixed(2)}` : "";
  return make("section", { "aria-label": title },
    make("h3", {}, make("bdi", { text: title }), make("span", { class: "quiet", text: `  ${rows.length} rollouts${mean}` })),
    rows.length ? rows.map((row) => card(data, row)) : make("p", { class: "quiet", text: "none of this prompt" }));
}

// Which of them is the one that is open.
function mark(place) {
  for (const element of place.querySelectorAll(".card")) {
    const one = shown.get(element.querySelector(".tokens"));
    element.classList.toggle("open", one.data === state.data && one.row === state.row);
  }
}
