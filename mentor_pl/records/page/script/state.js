// What is shown, and who draws it anew when it changes.

const state = {
  runs: [], // of the page, as build.py tells of them
  data: null, // the Step that is open
  row: 0, // the rollout that is open
  pinned: null, // {data, row, token}: the token whose facts are shown
  hovered: null, // likewise, while the pointer is on it
  view: "rollout", // rollout, kinds, runs, map or later
  colour: "entropy",
  gamma: null, // the slider's threshold; null: the run's own
  query: "",
  sort: "order",
  descending: false,
  kinds: [true, true, true],
  prompt: -1, // the only one listed; -1: all
  reward: [null, null], // from, to
  guided: [null, null],
  listed: [], // rollouts that pass the filters, in their order
};

const watchers = [];

// Calls `draw` after any of the named parts has changed.
function watch(names, draw) {
  watchers.push({ names, draw });
}

function change(parts) {
  const changed = Object.keys(parts).filter((name) => state[name] !== parts[name]);
  Object.assign(state, parts);
  for (const { names, draw } of watchers) {
    if (names.some((name) => changed.includes(name))) draw();
  }
}

// Steps that have been unpacked, the latest last: those of a large run are not all kept.
const opened = new Map();
const KEPT = 6;

async function load(run, step) {
  const id = `step-${run}-${step}`;
  if (!opened.has(id)) opened.set(id, unpack(at(id).textContent).then(({ told, arrays }) => new Step(run, told, arrays)));
  const data = opened.get(id);
  opened.delete(id);
  opened.set(id, data);
  if (opened.size > KEPT) opened.delete(opened.keys().next().value);
  return data;
}

// The step of a run that is nearest to a number.
function nearest(run, step) {
  return state.runs[run].steps.reduce((best, one) => (Math.abs(one - step) < Math.abs(best - step) ? one : best));
}

function say(text) {
  at("status").textContent = text;
}
