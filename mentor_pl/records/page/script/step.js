// A recorded step: what step.py packed, asked for by rollout and by token.
// A token is named by its place among all tokens of the step; `first(row)` is that of a rollout's first.

const KINDS = ["policy", "mixture", "demonstration"];
const LAWS = ["policy", "expert", "mixture"];
const FLAG = { guided: 1, replaced: 2, given: 4, trained: 8, gap: 16 };
const NATS = 0.001;
const SHARE = 1 / 65534;

class Step {
  constructor(run, told, arrays) {
    this.run = run;
    this.told = told;
    this.arrays = arrays;
    this.size = told.number.length;
    this.tokens = arrays.tokens.length;
    this.fallen = new Map(Array.from(arrays.fallen, (token, i) => [token, arrays.drafts[i]]));
    this.listed = new Map(Array.from(arrays.listed, (token, i) => [token, i]));
    this.absorbed = new Map(told.absorbed.map((one) => [one.token, one]));
    this.forks = Map.groupBy(told.forks, (one) => one.at);
    this.rows = Array.from({ length: this.size }, (_, row) => this.summary(row));
    this.texts = new Array(this.size);
  }

  first(row) { return this.arrays.starts[row]; }
  length(row) { return this.arrays.starts[row + 1] - this.arrays.starts[row]; }
  prompt(row) { return this.told.prompts[this.told.prompt[row]]; }
  has(token, flag) { return (this.arrays.flags[token] & FLAG[flag]) !== 0; }
  entropy(token) { return this.arrays.entropies[token]; }
  weight(token) { return this.arrays.weights[token] * SHARE; }
  coin(token) { return this.arrays.coins[token] || null; }
  advantage(token) { return this.arrays.advantages[token]; }
  logprob(token) { return -this.arrays.logprobs[token] * NATS; }

  // Of what not every run records: null where it is not known.
  optional(name, token) {
    const value = this.arrays[name] ? this.arrays[name][token] : ABSENT;
    return value === ABSENT ? null : -value * NATS;
  }

  divergence(token) {
    const value = this.arrays.divergence ? this.arrays.divergence[token] : ABSENT;
    return value === ABSENT ? null : value * this.told.scales.divergence;
  }

  // {id, text, length}; text is null where only the id is known, length that of a text that was cut.
  entry(place) {
    const [id, text, length] = this.told.vocabulary[place];
    return { id, text, length };
  }

  token(token) { return this.entry(this.arrays.tokens[token]); }
  draft(token) { return this.fallen.has(token) ? this.entry(this.fallen.get(token)) : null; }

  // Of each law a list of {id, text, probability}, the likeliest first; null where none were kept.
  likeliest(token) {
    if (!this.listed.has(token)) return null;
    const k = this.told.k;
    const from = this.listed.get(token) * LAWS.length * k;
    return LAWS.map((_, law) => {
      const places = Array.from({ length: k }, (_, i) => from + law * k + i);
      const known = places.filter((place) => this.arrays.probabilities[place] !== ABSENT);
      return known.map((place) => ({
        ...this.entry(this.arrays.likely[place]),
        probability: this.arrays.probabilities[place] * SHARE,
      }));
    });
  }

  summary(row) {
    const [first, length] = [this.first(row), this.length(row)];
    let [guided, replaced, entropy, weight] = [0, 0, 0, 0];
    for (let token = first; token < first + length; token++) {
      guided += this.has(token, "guided");
      replaced += this.has(token, "replaced");
      entropy += this.entropy(token);
      weight += this.weight(token);
    }
    const share = (sum) => (length ? sum / length : 0);
    return {
      kind: this.told.origin[row],
      reward: this.told.reward[row],
      truncated: this.told.truncated[row] === 1,
      length,
      guided: share(guided),
      replaced,
      entropy: share(entropy),
      weight: share(weight),
    };
  }

  // The response as it can be searched: {text, starts}, where each of its tokens begins.
  text(row) {
    if (!this.texts[row]) {
      const [first, length] = [this.first(row), this.length(row)];
      const starts = new Uint32Array(length);
      let text = "";
      for (let i = 0; i < length; i++) {
        if (this.has(first + i, "gap")) text += " ";
        starts[i] = text.length;
        text += this.token(first + i).text ?? "";
      }
      this.texts[row] = { text, starts };
    }
    return this.texts[row];
  }

  rowsOf(prompt) {
    return this.rows.map((_, row) => row).filter((row) => this.told.prompt[row] === prompt);
  }
}
