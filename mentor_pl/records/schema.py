"""What a record of rollouts is: `<run>/rollouts/step=<step>.parquet`, a row for each rollout of the step.

`FIELDS` has every column with its type and what it says; `SCHEMA` is that in Arrow's words. No value is null but a
reward that was not given. Parquet's own metadata is not relied on, since `datasets` does not keep it.
"""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa

FOLDER = "rollouts"  # in the run's
ORIGINS = ("policy", "mixture", "demonstration")  # by the number of an `Origin`

_TEXTS, _IDS = pa.list_(pa.string()), pa.list_(pa.int32())
_VALUES, _FLAGS = pa.list_(pa.float32()), pa.list_(pa.bool_())
_PART = pa.struct([("name", pa.string()), ("value", pa.float32())])

# The k likeliest tokens of π_θ, π* and π_mix at a guided token of the response, the likeliest first.
ALTERNATIVE = pa.struct(
    [
        ("position", pa.int32()),
        ("policy_ids", _IDS),
        ("policy", _VALUES),
        ("policy_pieces", _TEXTS),
        ("expert_ids", _IDS),
        ("expert", _VALUES),
        ("expert_pieces", _TEXTS),
        ("mixture_ids", _IDS),
        ("mixture", _VALUES),
        ("mixture_pieces", _TEXTS),
    ]
)


class Field(NamedTuple):
    """A column of a record.

    Attributes:
        name: of the column.
        type: of a value.
        says: what a value is.
    """

    name: str
    type: pa.DataType
    says: str


# of the step: the same in every row
STEP = (
    Field("step", pa.int32(), "batches of rollouts done once this one is learned from, as in metrics.csv"),
    Field("alpha", pa.float64(), "α, the weight of what the expert teaches"),
    Field("gamma", pa.float64(), "γ_p in force; infinite where nothing was guided"),
    Field("temperature", pa.float64(), "of sampling"),
    Field("weights", pa.string(), "fingerprint of the weights that sampled: equal weights, equal text"),
    Field("policy_updates", pa.int32(), "optimizer steps that those weights had seen"),
    Field("reward_range", pa.float64(), "span of the rewards"),
    Field("max_tokens", pa.int32(), "tokens that a response may have"),
)

# of the process that made the rollout, as its tensors were: what a replay needs and nothing else does
RANK = (
    Field("rank", pa.int32(), "process that made the rollout"),
    Field("ranks", pa.int32(), "processes of the run"),
    Field("prompt_width", pa.int32(), "columns that the process's tensors had for prompts"),
    Field("response_width", pa.int32(), "columns that they had for responses"),
    Field("rollouts", pa.int32(), "rollouts that the process had, of which a record may hold the first"),
    Field("without_verdict", pa.int32(), "rollouts of the process whose reward is none, or stands in for a verdict"),
)

ROLLOUT = (
    Field("group", pa.int32(), "0 … P − 1 on its process; rollouts of one problem share it"),
    Field("number", pa.int32(), "place in the group; with the problem it keys the sampling noise"),
    Field("problem", pa.int64(), "the problem's place in the data set"),
    Field("origin", pa.string(), "who speaks: policy, mixture or demonstration"),
    Field("problem_text", pa.string(), "the problem as the data set words it"),
    Field("answer", pa.string(), "the reference that rewards compare with"),
    Field("prompt", pa.string(), "what the policy read, decoded"),
    Field("prompt_ids", _IDS, "the same as tokens"),
    Field("text", pa.string(), "the response without its stop token"),
    Field("truncated", pa.bool_(), "the length limit came before a stop token"),
    Field("length", pa.int32(), "tokens of the response, the stop token included"),
    Field("reward", pa.float32(), "null: not graded, and left out of whatever is learned"),
    Field("parts", pa.list_(_PART), "of the reward"),
)

# lists of `length` values, one for each token of the response
TOKEN = (
    Field("ids", _IDS, "the token"),
    Field("pieces", _TEXTS, "its text, decoded by itself"),
    Field("logprobs", _VALUES, "log π_old"),
    Field("entropies", _VALUES, "H of the policy, in nats"),
    Field("gate_weights", _VALUES, "w, the expert's share by the blend; 0 where nothing was mixed"),
    Field("coins", _VALUES, "v, uniform on (0, 1]: under a gate guided where v ≤ w; empty but in mixture rows"),
    Field("guided", _FLAGS, "the token is the expert's: its coin came up, or without coins its draft fell"),
    Field("replaced", _FLAGS, "the token differs from the policy's draft"),
    Field("given", _FLAGS, "the token was not sampled"),
    Field("trained", _FLAGS, "the token is trained on"),
    Field("drafts", _IDS, "the policy's draft; the token itself where it stood"),
    Field("advantages", _VALUES, "as the update used them; 0 where the method has none"),
)

# likewise, or empty lists where a method does not ask for them
OPTIONAL = (
    Field("margins", _VALUES, "difference of the policy's two greatest probabilities; 0 where not known"),
    Field("divergences", _VALUES, "KL(π* ‖ π_θ) in nats; 0 where not known"),
    Field("expert_logprobs", _VALUES, "log π*"),
    Field("reference_logprobs", _VALUES, "log π_ref"),
)

ALTERNATIVES = Field(
    "alternatives",
    pa.list_(ALTERNATIVE),
    "the likeliest tokens of π_θ, π* and π_mix at guided tokens, with probabilities; empty where none were kept",
)

FIELDS = (*STEP, *RANK, *ROLLOUT, *TOKEN, *OPTIONAL, ALTERNATIVES)
SCHEMA = pa.schema([(field.name, field.type) for field in FIELDS])
