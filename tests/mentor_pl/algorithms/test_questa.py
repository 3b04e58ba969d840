"""QuestA: the first part of a trace is in the context and nowhere else; without hints it is GRPO."""

import pytest
import torch
from runs import Batches
from transformers import AutoTokenizer

from mentor_pl.algorithms.base import Graded, Step
from mentor_pl.algorithms.grpo import GRPO
from mentor_pl.algorithms.parts.traces import Shortest
from mentor_pl.algorithms.questa import QuestA
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Prompt

TRACE = (10, 11, 12, 13, 14, 15, 9)  # seven tokens, the stop token included
PROMPTS = [Prompt(3, "three", "3", (4,)), Prompt(8, "eight", "8", (1, 2), traces=(TRACE,))]


def contexts(alpha=1.0, share=0.5, prompts=PROMPTS, text=None, tokens_per_word=1, wrong=(), **options):
    """The words of what the policy reads, of each problem. A token's text is `word` and its id; 9 is no text."""

    def render(problem):
        rendered.append(problem)
        return tuple(range(100, 100 + tokens_per_word * len(problem.split())))

    rendered = []
    text = text or (lambda ids: " ".join(f"word{i}" for i in ids if i != 9))
    step = Step(prompts, alpha, render=render, text=text, **options)
    rounds = QuestA(2, share).rounds(step)
    probes = next(rounds)
    assert [(p.prompt.index, p.number, p.given, p.probe, p.complete) for p in probes] == [
        (prompt.index, 2, prompt.traces[0], True, True) for prompt in prompts if prompt.traces
    ]
    verdicts = torch.zeros(len(probes)), torch.tensor([probe.prompt.index not in wrong for probe in probes])
    rows = rounds.send(Graded(probes, torch.ones(len(probes)).long(), [], wait=lambda: verdicts))
    assert [(row.prompt.index, row.number) for row in rows] == [(p.index, n) for p in prompts for n in (0, 1)]
    assert not any(row.given for row in rows)
    return [row.context for row in rows[::2]], rendered


def test_the_hint_is_the_first_share_of_the_trace_behind_the_heading():
    (plain, hinted), rendered = contexts()  # three and a half tokens are four
    assert rendered == ["eight\n\n## Hint: Partial Solution\n\nword10 word11 word12 word13"]
    assert (plain, hinted) == ((4,), tuple(range(100, 109)))  # nine words


def test_a_trace_that_does_not_reach_the_answer_gives_no_hint():
    assert contexts(wrong=(8,))[0] == [(4,), (1, 2)]


@pytest.mark.parametrize(
    ("share", "alpha", "words"),
    [(0.5, 0.2, 0), (0.5, 1.0, 4), (1.0, 0.5, 4), (1.0, 1.0, 6), (0.5, 4.0, 6), (0.29, 1.0, 2)],
)
def test_share_times_alpha_is_the_part_of_the_trace_and_one_word_is_too_little(share, alpha, words):
    # 7/10 of a token is one word of six characters: no hint
    (_, hinted), _ = contexts(alpha, share)
    assert hinted == (tuple(range(100, 105 + words)) if words else (1, 2))


def test_ten_characters_are_a_hint_and_nine_are_none():
    assert contexts(text=lambda ids: " " + "x" * 10 + " ")[0][1] != (1, 2)
    assert contexts(text=lambda ids: " " + "x" * 9 + "  ")[0][1] == (1, 2)


def test_a_hint_ends_where_the_context_would_be_longer_than_there_is_room_for():
    # nine words with four of the hint: room for seven leaves two of them
    assert len(contexts(max_context=9)[0][1]) == 9
    (_, hinted), rendered = contexts(max_context=7)
    assert len(hinted) == 7
    assert rendered[-1].endswith("\n\nword10 word11")
    assert contexts(max_context=6)[0][1] == (1, 2)  # one word is too little
    assert contexts(max_context=4)[0][1] == (1, 2)  # the heading alone is too much
    # the last token of the whole trace is no text, so one token less is as long as before, and two are tried
    assert len(contexts(share=1.0, max_context=10)[0][1]) == 10
    # where a word of the context is two tokens, 22 are four too many: without four of seven they are 16
    assert len(contexts(share=1.0, max_context=18, tokens_per_word=2)[0][1]) == 16


def test_a_character_that_falls_apart_at_the_cut_is_left_out(qwen2_folder):
    tokenizer = AutoTokenizer.from_pretrained(qwen2_folder)
    ids = tuple(tokenizer("αβγδεζηθικλμνξοπρστυ")["input_ids"])  # two bytes and tokens each
    prompt = Prompt(0, "p", "a", (1,), traces=((*ids, 0),))
    for share in (0.5, 0.51, 0.55):  # of 41 tokens 20, 21, 23
        _, (rendered,) = contexts(share=share, prompts=[prompt], text=lambda ids: tokenizer.decode(list(ids)))
        assert rendered.rsplit("\n", 1)[1] == "αβγδεζηθικλ"[: 10 + (share == 0.55)]


@pytest.mark.parametrize(("share", "alpha"), [(0.0, 1.0), (0.5, 0.0)])
def test_without_hints_it_is_grpo_bit_for_bit(same_run, traced_problems, share, alpha):
    options = {"data_options": {"train": str(traced_problems)}, "module_options": {"alpha": alpha}}
    assert same_run(QuestA(4, share), GRPO(4), **options)


def test_where_no_problem_of_a_step_has_a_trace_it_is_grpo_too(same_run):
    assert same_run(QuestA(4), GRPO(4))


def test_hints_are_read_but_neither_graded_nor_trained_on(run, traced_problems):
    kept = Batches()
    algorithm = QuestA(4, 1.0, selection=Shortest())
    one = run(algorithm=algorithm, steps=2, callbacks=[kept], data_options={"train": str(traced_problems)})
    one.fit()
    tokenizer = one.module.tokenizer
    hinted = 0
    for rollouts in kept.rollouts:
        assert not rollouts.given.any()
        assert torch.equal(rollouts.train_mask, rollouts.mask)
        for text, reward in zip(rollouts.texts, rollouts.rewards.tolist(), strict=True):
            assert reward == pytest.approx(min(1.0, text.split().count("the") / 3))
        for ids, length in zip(rollouts.prompt_ids.tolist(), rollouts.prompt_lengths.tolist(), strict=True):
            words = tokenizer.decode(ids[:length]).split()  # BOS and three; four of the heading; the hint
            assert len(words) == 4 or words[8:].count("the") >= 3
            hinted += len(words) > 4
    assert 0 < hinted < 2 * 4 * 4


def test_the_default_curriculum_is_half_then_a_quarter():
    assert [0.5 * QuestA().schedule(step) for step in (0, 59, 60, 1000)] == [0.5, 0.5, 0.25, 0.25]


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_a_share_out_of_range_is_a_usage_error(share):
    with pytest.raises(UsageError, match="algorithm share is"):
        QuestA(share=share)
