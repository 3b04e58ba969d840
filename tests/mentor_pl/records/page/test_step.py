from __future__ import annotations

import math

import pytest
from packed import unpack
from recorded_runs import IDS, alternative, row, table

from mentor_pl.records.absorbed import Replaced, scored_rows
from mentor_pl.records.page.absorption import whole_rows
from mentor_pl.records.page.findings import Findings
from mentor_pl.records.page.step import LONGEST, NATS, SHARE, pack_step

MIXED = row(
    ["try", "U", "<eos>"],
    origin="mixture", number=1, gamma=2.0, reward=None, truncated=True,
    parts=[{"name": "outcome", "value": 1.0}, {"name": "format", "value": math.nan}],
    logprobs=[-0.25, -2.0, -99.0], entropies=[1.0, 3.0, 0.0], gate_weights=[0.5, 1.0, 0.0], coins=[0.75, 0.5, 0.25],
    guided=[False, True, False], replaced=[False, True, False], drafts=[IDS["try"], IDS["D"], IDS["<eos>"]],
    advantages=[-1.5] * 3, expert_logprobs=[-1.25, -0.5, -0.001],
    alternatives=[alternative(1, policy={"D": 0.8}, expert={"U": 0.5}, mixture={"U": 0.4})],
)  # fmt: skip
ON_POLICY = row(["try", "X"], gamma=2.0, expert_logprobs=[-1.0, -1.0])


@pytest.fixture
def packed():
    return unpack(pack_step(table([ON_POLICY, MIXED]), 16))


def test_rollouts_are_columns_and_their_prompt_is_told_once(packed) -> None:
    told, _ = packed
    assert told["prompts"] == [
        {"rank": 0, "group": 0, "problem": 7, "tokens": 3, "problem_text": "goal c33", "prompt": "goal c33",
         "answer": "D R"}
    ]  # fmt: skip
    expected = {
        "prompt": [0, 0], "number": [0, 1], "origin": [0, 1], "truncated": [0, 1], "reward": [0.5, None],
        "parts": {"outcome": [None, 1.0], "format": [None, None]}, "text": [None, None], "recorded": 16,
        "step": 5, "alpha": 0.5, "gamma": 2.0, "temperature": 1.0, "policy_updates": 8,
        "fingerprint": "0123456789abcdef", "places": [0, 1], "absorbed": [], "forks": [],
    }  # fmt: skip
    assert {name: told[name] for name in expected} == expected


def test_tokens_are_arrays_one_rollout_behind_the_other(packed) -> None:
    told, arrays = packed
    word = [told["vocabulary"][int(place)][1] for place in arrays["tokens"]]
    assert word == ["try", "X", "try", "U", "<eos>"]
    assert arrays["starts"] == [0, 2, 5]
    trained, guided, replaced, gap = 8, 1, 2, 16
    assert arrays["flags"] == [trained, trained | gap, trained, trained | guided | replaced | gap, trained | gap]
    assert [value * NATS for value in arrays["logprobs"]] == pytest.approx([1, 1, 0.25, 2, 65.534])  # as far as it goes
    assert arrays["entropies"] == [0, 0, 1, 3, 0]
    assert [value * SHARE for value in arrays["weights"]] == pytest.approx([0, 0, 0.5, 1, 0])
    assert arrays["coins"] == [0, 0, 0.75, 0.5, 0.25]
    assert arrays["advantages"] == [0, 0, -1.5, -1.5, -1.5]
    assert [value * NATS for value in arrays["expert_logprobs"]] == pytest.approx([1, 1, 1.25, 0.5, 0.001])


def test_drafts_that_fell_and_likeliest_tokens_have_their_places(packed) -> None:
    told, arrays = packed
    word = lambda places: [told["vocabulary"][int(place)][1] for place in places]  # noqa: E731
    assert (arrays["fallen"], word(arrays["drafts"])) == ([3], ["D"])
    assert (arrays["listed"], word(arrays["likely"]), told["k"]) == ([3], ["D", "U", "U"], 1)
    assert [value * SHARE for value in arrays["probabilities"]] == pytest.approx([0.8, 0.5, 0.4], abs=SHARE)


def test_the_measure_of_divergence_is_named(packed) -> None:
    told, arrays = packed
    assert told["measure"]["name"] == "|log π* − log π_θ|"
    values = [value * told["scales"]["divergence"] for value in arrays["divergence"]]
    assert values == pytest.approx([0, 0, 1, 1.5, 65.534])


@pytest.mark.parametrize(
    ("columns", "share"),
    [
        ({}, 1),  # min(1, 1 / 2), min(1, 3 / 2), 0
        ({"gate_weights": [0.5, 1.0, 0.9]}, 2 / 3),
        ({"gate_weights": [0.5, 1.0, 0.9], "given": [False, False, True]}, 1),  # what is given met no gate
        ({"gamma": math.inf}, None),
        ({"coins": []}, None),
    ],
)
def test_it_is_told_how_often_the_gate_is_that_of_entropy(columns, share) -> None:
    told, _ = unpack(pack_step(table([MIXED | columns]), 1))
    assert told["entropy_gate"] == (None if share is None else pytest.approx(share))


@pytest.mark.parametrize(
    ("columns", "blend"),
    [
        ({}, False),  # 0.75 > 0.5, 0.5 <= 1, 0.25 > 0
        ({"gate_weights": [0.75, 1.0, 0.0]}, True),
        ({"gate_weights": [0.75, 1.0, 0.0], "given": [True, False, False]}, False),  # what is given met no gate
        ({"coins": []}, False),
    ],
)
def test_guidance_by_a_blend_is_told_from_that_by_a_coin(columns, blend) -> None:
    told, _ = unpack(pack_step(table([MIXED | columns]), 1))
    assert told["blend"] is blend


def test_what_was_found_later_stands_at_its_tokens() -> None:
    expert, draft = IDS["U"], IDS["D"]
    kept = Replaced(5, 0, 0, 1, 7, 1, expert, draft, "U", "D", (), 1.0, -2.0, -0.5)
    found = Findings(whole_rows(scored_rows([kept], [-0.25], [-4.0], scored_at=10)), ())
    told, _ = unpack(pack_step(table([ON_POLICY, MIXED]), 16, [3, 9], found))
    assert told["places"] == [3, 9]
    assert told["absorbed"] == [{"token": 3, "then": [-2, -0.5], "at": [10], "expert": [-0.25], "draft": [-4]}]


def test_a_response_that_its_pieces_do_not_say_is_kept_and_long_texts_are_cut() -> None:
    long = "y" * (LONGEST + 1)
    told, _ = unpack(pack_step(table([row(["\ufffd", "\ufffd", "<eos>"], text="é", prompt=long)]), 1))
    assert told["text"] == ["é"]
    assert told["prompts"][0]["prompt"] == "y" * LONGEST + " … (20,001 characters, 20,000 shown)"


def test_bytes_of_a_strangers_file_that_are_no_text_are_no_mistake() -> None:
    import pyarrow as pa

    strange = table([row(["a", "<eos>"])])
    pieces = pa.array([b"\xff\xed\xa0\x80", b"<eos>"]).view(pa.string())
    place = strange.column_names.index("pieces")
    told, _ = unpack(pack_step(strange.set_column(place, "pieces", pa.ListArray.from_arrays([0, 2], pieces)), 1))
    assert [100, "\ufffd" * 4] in told["vocabulary"]
