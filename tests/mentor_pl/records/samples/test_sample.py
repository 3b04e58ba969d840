"""Which rollouts are shown, and what is said of their tokens."""

from dataclasses import replace

import pytest
import torch

from mentor_pl.records.samples.sample import Token, samples_of
from mentor_pl.types import Origin, Rollouts

HOSTILE = {91: "\x1b[31m\u202e", 92: "a\nb", 93: "x" * 1_000_000, 94: "half \ud800", 95: ""}


def decode(ids):
    return "".join(HOSTILE.get(one, f"<{one}>") for one in ids)


@pytest.fixture
def gathered():
    """Of two prompts two policy rows and a mixture row each, of five tokens; in the first mixture row hostile tokens
    were given, in the second one token is guided and one replaced. The last row is not graded."""
    n, t = 6, 5
    origin = torch.tensor([Origin.POLICY, Origin.POLICY, Origin.MIXTURE] * 2)
    ids = torch.arange(n * t).reshape(n, t)
    ids[2] = torch.tensor(list(HOSTILE))
    flags = {name: torch.zeros(n, t, dtype=torch.bool) for name in ("guided", "replaced", "given")}
    flags["given"][2] = True
    flags["guided"][5, 1:3] = True
    flags["replaced"][5, 2] = True
    drafts = ids.clone()
    drafts[5, 2] = 77
    zeros = torch.zeros(n, t)
    return Rollouts(
        prompt_ids=torch.tensor([[61, 0]] * 3 + [[62, 63]] * 3),
        prompt_lengths=torch.tensor([1, 1, 1, 2, 2, 2]),
        response_ids=ids,
        response_lengths=torch.tensor([5, 5, 5, 5, 5, 4]),
        group=torch.tensor([0, 0, 0, 1, 1, 1]),
        origin=origin,
        logprobs=zeros,
        entropies=zeros,
        gate_weights=zeros,
        train_mask=torch.ones(n, t, dtype=torch.bool),
        truncated=torch.zeros(n, dtype=torch.bool),
        rewards=torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0, torch.nan]),
        reward_parts={},
        reward_range=1.0,
        temperature=1.0,
        alpha=1.0,
        gamma=1.0,
        step=0,
        policy_updates=0,
        drafts=drafts,
        **flags,
    )


def test_of_each_prompt_and_kind_the_first_comes_first(gathered):
    def kinds(count):
        return [one.kind for one in samples_of(gathered, count, decode)]

    assert kinds(1) == ["policy"]
    assert kinds(4) == ["policy", "mixture"] * 2
    assert kinds(5) == ["policy", "policy", "mixture", "policy", "mixture"]
    assert len(kinds(100)) == len(gathered)


def test_a_rollout_is_told_of_with_the_marks_and_fallen_drafts_of_its_tokens(gathered):
    first, *_, last = samples_of(gathered, 4, decode)
    assert (first.prompt, first.reward, first.guided) == ("<61>", 0.0, 0.0)
    assert [token.text for token in first.tokens] == ["<0>", "<1>", "<2>", "<3>", "<4>"]
    assert (last.prompt, last.reward, last.guided) == ("<62><63>", None, 0.5)
    assert list(last.tokens) == [
        Token("<25>"), Token("<26>", "guided"), Token("<27>", "replaced", "<77>"), Token("<28>")
    ]  # fmt: skip


def test_hostile_text_is_shown_by_name_and_cut(gathered):
    given = samples_of(gathered, 2, decode)[1].tokens
    assert [token.mark for token in given] == ["given"] * 5
    assert [token.text for token in given] == ["\\x1b[31m\\u202e", "a↵\nb", "x" * 200 + "…", "half ?", "∅"]


def test_a_long_prompt_is_cut(gathered):
    (long,) = samples_of(gathered, 1, lambda ids: "p\u202e" * 1500)
    assert long.prompt == "p\\u202e" * 1000 + "…"


def test_white_space_that_pieces_lack_stands_in_front(gathered):
    words = replace(
        gathered, texts=tuple(" ".join(decode([one]) for one in ids) for ids in gathered.response_ids.tolist())
    )
    assert [token.text for token in samples_of(words, 1, decode)[0].tokens] == ["<0>", " <1>", " <2>", " <3>", " <4>"]
