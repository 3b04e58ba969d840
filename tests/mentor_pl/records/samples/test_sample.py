"""Which rollouts are shown, and what is said of their tokens."""

from dataclasses import replace

import pytest
import torch
from collecting import EIGHT, THREE, GivenRounds, Learner, gather, guided_by, row

from mentor_pl.decoding.naive import Naive
from mentor_pl.records.samples.sample import Token, samples_of
from mentor_pl.types import Origin

HOSTILE = {1: "\x1b[31m\u202e", 2: "a\nb", 3: "x" * 1_000_000, 4: "half \ud800", 5: ""}


def decode(ids):
    return "".join(HOSTILE.get(one, f" <{one}>") for one in ids)


@pytest.fixture(scope="module")
def gathered(build_models, qwen2_folder, qwen2_expert_folder):
    """Of two prompts two policy rows and a mixture row each, the first mixture behind hostile tokens that were given;
    the last row is not graded."""
    rows = [row(EIGHT, n) for n in (0, 1)] + [row(EIGHT, 2, given=(1, 2, 3, 4, 5), origin=Origin.MIXTURE)]
    rows += [row(THREE, n) for n in (0, 1)] + [row(THREE, 2, origin=Origin.MIXTURE)]
    algorithm = GivenRounds(rows)
    algorithm.blend = guided_by(0.9).blend
    models = build_models(qwen2_folder, qwen2_expert_folder)
    return gather(Learner(models, algorithm=algorithm), Naive())


def test_of_each_prompt_and_kind_the_first_comes_first(gathered):
    def kinds(count):
        return [one.kind for one in samples_of(gathered, count, decode)]

    assert kinds(1) == ["policy"]
    assert kinds(4) == ["policy", "mixture"] * 2
    assert kinds(5) == ["policy", "policy", "mixture", "policy", "mixture"]
    assert len(kinds(100)) == len(gathered)


def test_a_token_has_its_mark_and_the_draft_that_it_replaced(gathered):
    sample = samples_of(gathered, 4, decode)[3]
    at, length = 5, len(sample.tokens)
    assert length == int(gathered.response_lengths[at])
    assert sample.guided == pytest.approx(float(gathered.guided[at].sum()) / length)
    assert gathered.replaced[at].any()
    for place, token in enumerate(sample.tokens):
        replaced, guided = bool(gathered.replaced[at, place]), bool(gathered.guided[at, place])
        assert token.mark == ("replaced" if replaced else "guided" if guided else "")
        assert token.draft == (decode([int(gathered.drafts[at, place])]) if replaced else "")


def test_hostile_text_is_shown_by_name_and_cut(gathered):
    given = samples_of(gathered, 2, decode)[1].tokens[:5]
    assert [token.mark for token in given] == ["given"] * 5
    assert [token.text.lstrip(" ") for token in given] == [
        "\\x1b[31m\\u202e", "a↵\nb", "x" * 200 + "…", "half ?", "∅",
    ]  # fmt: skip


def test_what_is_not_graded_has_no_reward_and_a_long_prompt_is_cut(gathered):
    ungraded = replace(gathered, rewards=torch.full_like(gathered.rewards, torch.nan))
    assert samples_of(ungraded, 1, decode)[0].reward is None
    assert samples_of(gathered, 1, decode)[0].reward == pytest.approx(float(gathered.rewards[0]))
    long = samples_of(gathered, 1, lambda ids: "p" * 3000)[0]
    assert long.prompt == "p" * 2000 + "…"


def test_white_space_that_pieces_lack_stands_in_front(gathered):
    words = replace(gathered, texts=tuple(" ".join(f"w{i}" for i in ids) for ids in gathered.response_ids.tolist()))
    tokens = samples_of(words, 1, lambda ids: "".join(f"w{i}" for i in ids))[0].tokens
    assert [token.text[0] for token in tokens[:3]] == ["w", " ", " "]
    assert isinstance(tokens[0], Token)
