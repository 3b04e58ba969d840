// From a token to its colour. A shade is {level, sign, mark}: how strong, from 0 to 1, which side of 0, and which mark.
// Strength is lightness, sides are blue and orange, and marks are lines as well: nothing hangs on telling hues apart.

const COLOURS = {
  entropy: { name: "entropy", says: "H of the policy, in nats" },
  weight: { name: "w", says: "the expert's share w of the law" },
  guidance: { name: "guidance", says: "tokens that are the expert's" },
  replaced: { name: "replaced", says: "tokens that differ from the policy's draft" },
  advantage: { name: "advantage", says: "what the update made of the token" },
};

// The strongest values of a step, to which its colours go.
function limits(data) {
  if (!data.limits) {
    const sorted = data.arrays.entropies.filter(Number.isFinite).sort();
    const high = sorted.length ? sorted[Math.ceil(0.995 * (sorted.length - 1))] : 1;
    let advantage = 0;
    for (const value of data.arrays.advantages) if (Number.isFinite(value)) advantage = Math.max(advantage, Math.abs(value));
    data.limits = { entropy: high || 1, advantage };
  }
  return data.limits;
}

function shade(data, token) {
  const none = { level: 0, sign: 1, mark: data.has(token, "given") ? "given" : "" };
  switch (state.colour) {
    case "entropy":
      return { ...none, level: Math.min(1, data.entropy(token) / limits(data).entropy) };
    case "weight":
      return { ...none, level: state.gamma === null ? data.weight(token) : gateWeight(data.entropy(token), state.gamma) };
    case "guidance":
      return data.has(token, "replaced") ? { ...none, mark: "replaced" } : data.has(token, "guided") ? { ...none, mark: "guided" } : none;
    case "replaced":
      return data.has(token, "replaced") ? { ...none, mark: "replaced" } : none;
    default: {
      const value = data.advantage(token);
      return { ...none, level: Math.min(1, Math.abs(value) / limits(data).advantage) || 0, sign: Math.sign(value) };
    }
  }
}
