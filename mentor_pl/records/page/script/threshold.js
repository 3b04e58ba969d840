// The gate at another threshold γ: w = min(1, H / γ), and a token is guided where its coin is at most w.

const gateWeight = (entropy, gamma) => (gamma > 0 ? Math.min(1, entropy / gamma) : 1);

// Whether a token would have been guided; of one without a coin it is not known, and false.
function wouldGuide(data, token, gamma) {
  const coin = data.coin(token);
  return coin !== null && !data.has(token, "given") && coin <= gateWeight(data.entropy(token), gamma);
}

// Shares of guided tokens over some rollouts: as the run had them, and as the threshold would.
// Where no coin was thrown, the share that is to be expected: the mean of w.
function shares(data, rows, gamma) {
  let [tokens, guided, would, thrown] = [0, 0, 0, 0];
  for (const row of rows) {
    const [first, length] = [data.first(row), data.length(row)];
    tokens += length;
    for (let token = first; token < first + length; token++) {
      guided += data.has(token, "guided");
      if (data.has(token, "given")) continue;
      const weight = gamma === null ? 0 : gateWeight(data.entropy(token), gamma);
      const coin = data.arrays.coins[token];
      thrown += coin > 0;
      would += coin > 0 ? coin <= weight : weight;
    }
  }
  const share = (sum) => (tokens ? sum / tokens : null);
  return { tokens, guided, would: gamma === null ? guided : would, run: share(guided), at: share(gamma === null ? guided : would), thrown };
}

// "gained" or "lost" where the threshold would have decided otherwise, else "".
function shift(data, token, gamma) {
  if (gamma === null || data.coin(token) === null) return "";
  const [was, would] = [data.has(token, "guided"), wouldGuide(data, token, gamma)];
  return was === would ? "" : would ? "gained" : "lost";
}
