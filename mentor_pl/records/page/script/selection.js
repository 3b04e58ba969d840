// Which rollouts are listed, and in which order.

const SORTS = {
  order: ["prompt", (data, row) => row],
  reward: ["reward", (data, row) => data.rows[row].reward ?? -Infinity],
  guided: ["guided share", (data, row) => data.rows[row].guided],
  replaced: ["replaced tokens", (data, row) => data.rows[row].replaced],
  entropy: ["mean entropy", (data, row) => data.rows[row].entropy],
  length: ["length", (data, row) => data.rows[row].length],
};

const within = (value, [from, to]) => (from === null || value >= from) && (to === null || value <= to);

function passes(data, row) {
  const one = data.rows[row];
  const bounded = state.reward.some((bound) => bound !== null);
  return (
    state.kinds[one.kind] &&
    (state.prompt < 0 || data.told.prompt[row] === state.prompt) &&
    (!bounded || (one.reward !== null && within(one.reward, state.reward))) &&
    within(100 * one.guided, state.guided) &&
    (!state.query || hits(data, row).length > 0)
  );
}

// Where in a response the searched text stands: [from, to) in characters.
function hits(data, row) {
  const wanted = state.query.toLowerCase();
  const found = [];
  if (!wanted) return found;
  const whole = data.text(row).text;
  const lower = whole.toLowerCase();
  const text = lower.length === whole.length ? lower : whole; // a few letters are longer in lower case
  for (let place = text.indexOf(wanted); place >= 0; place = text.indexOf(wanted, place + wanted.length)) {
    found.push([place, place + wanted.length]);
  }
  return found;
}

// The tokens of a rollout that the searched text touches.
function hitTokens(data, row) {
  const touched = new Set();
  const found = hits(data, row);
  if (!found.length) return touched;
  const { text, starts } = data.text(row);
  let hit = 0;
  for (let i = 0; i < starts.length && hit < found.length; i++) {
    const end = i + 1 < starts.length ? starts[i + 1] : text.length;
    while (hit < found.length && found[hit][1] <= starts[i]) hit++;
    if (hit < found.length && found[hit][0] < end) touched.add(i);
  }
  return touched;
}

function select() {
  const { data } = state;
  if (!data) return;
  const key = SORTS[state.sort][1];
  const sign = state.descending ? -1 : 1;
  const rows = data.rows.map((_, row) => row).filter((row) => passes(data, row));
  rows.sort((a, b) => sign * (key(data, a) - key(data, b)) || a - b);
  change({ listed: rows });
  say(`${count(rows.length)} of ${count(data.size)} rollouts`);
}

watch(["data", "query", "sort", "descending", "kinds", "prompt", "reward", "guided"], select);
