import pytest
import torch

from mentor_pl.experiments.tokens.responses import labelled
from mentor_pl.experiments.tokens.scores import loaded, score
from mentor_pl.runtime.progress import silent
from mentor_pl.types import Prompt


@pytest.fixture(scope="module")
def models(small_testbed):
    with loaded(str(small_testbed / "policy"), str(small_testbed / "expert")) as loaded_models:
        yield loaded_models


def responses_of(models, *texts):
    ids = [models.tokenizer(text)["input_ids"] for text in ("blocked c00 c01 c02 goal c33 start c22", *texts)]
    prompt = Prompt(0, "", "", tuple(ids[0]))
    return [labelled(models, prompt, number, response, None, "") for number, response in enumerate(ids[1:])]


def test_the_scores_are_those_of_all_logits(models):
    temperature = 0.7
    responses = responses_of(models, "<think> try U c12", "<think> try")
    for one, scores in zip(responses, score(models, responses, temperature, silent), strict=True):
        whole, start = torch.tensor([[*one.prompt.token_ids, *one.ids]]), len(one.prompt.token_ids)
        ours, theirs = (
            (model(input_ids=whole).logits[0, start - 1 : -1, : models.vocabulary.size] / temperature).log_softmax(-1)
            for model in (models.policy, models.expert)
        )
        entropy, forward = -(ours.exp() * ours).sum(-1), (theirs.exp() * (theirs - ours)).sum(-1)
        expected = {
            "entropy": entropy,
            "forward KL": forward,
            "reverse KL": (ours.exp() * (ours - theirs)).sum(-1),
            "entropy × KL": entropy * forward,
            "expert entropy": -(theirs.exp() * theirs).sum(-1),
        }
        assert list(scores) == list(expected)
        for name, values in expected.items():
            assert torch.allclose(torch.from_numpy(scores[name]), values, atol=1e-5), name


def test_without_an_expert_there_is_the_entropy_alone(small_testbed, models):
    with loaded(str(small_testbed / "policy"), None) as alone:
        responses = responses_of(alone, "<think> try U c12")
        (scores,) = score(alone, responses, 1.0, silent)
    assert list(scores) == ["entropy"]
    assert scores["entropy"] == pytest.approx(score(models, responses, 1.0, silent)[0]["entropy"], abs=1e-5)
