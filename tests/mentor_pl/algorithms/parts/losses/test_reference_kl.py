"""The estimates by hand, their mean gradients against the divergences written out, and a run with and without."""

import math

import pytest
import torch

from mentor_pl.algorithms.grpo import GRPO
from mentor_pl.algorithms.parts.losses.base import LossInputs, Need
from mentor_pl.algorithms.parts.losses.reference_kl import ReferenceKL
from mentor_pl.runtime.errors import UsageError

ESTIMATORS = ("k1", "k2", "k3")


def inputs(logprobs, reference, mask=None):
    zeros = torch.zeros(logprobs.shape)
    never = zeros.bool()
    return LossInputs(
        mask=torch.ones_like(never) if mask is None else mask,
        advantages=zeros,
        old_logprobs=zeros,
        origin=torch.zeros(len(zeros), dtype=torch.int64),
        gate_weights=zeros,
        guided=never,
        replaced=never,
        given=never,
        reference_logprobs=reference,
        logprobs=logprobs,
        entropies=zeros,
    )


@pytest.mark.parametrize(
    ("estimator", "total"),
    [
        # π_θ is 1/2 and 1/4, π_ref 1/4 and 1: δ = −log 2 and log 4
        ("k1", math.log(2) - math.log(4)),
        ("k2", (math.log(2) ** 2 + math.log(4) ** 2) / 2),
        ("k3", (0.5 - 1 + math.log(2)) + (4 - 1 - math.log(4))),
    ],
)
def test_the_estimates_by_hand(estimator, total):
    logprobs, reference = torch.tensor([[0.5, 0.25, 0.5]]).log(), torch.tensor([[0.25, 1.0, 0.125]]).log()
    batch = inputs(logprobs, reference, mask=torch.tensor([[True, True, False]]))
    term = ReferenceKL(0.1, estimator)
    assert float(term(batch).total) == pytest.approx(total, abs=1e-6)
    assert int(term.weight(batch)) == 2


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_mean_gradient_is_that_of_the_divergence_it_is_said_to_be(estimator):
    """One token of three ids, every id weighed by its probability."""
    logits = torch.tensor([0.3, -0.8, 1.1], dtype=torch.float64, requires_grad=True)
    reference = torch.tensor([-0.5, 0.9, 0.2], dtype=torch.float64).log_softmax(0)
    policy = logits.log_softmax(0)
    mean = sum(
        policy[i].exp().detach()
        * ReferenceKL(1.0, estimator)(inputs(policy[i, None, None], reference[i, None, None])).total
        for i in range(3)
    )
    (ours,) = torch.autograd.grad(mean, logits, retain_graph=True)
    divergence = {
        "k1": (policy * 0).sum(),
        "k2": (policy.exp() * (policy - reference)).sum(),
        "k3": (reference.exp() * (reference - policy)).sum(),
    }[estimator]
    (expected,) = torch.autograd.grad(divergence, logits)
    assert (ours - expected).abs().max() <= 1e-9


def test_a_token_that_the_policy_all_but_rules_out_does_not_overflow():
    total = ReferenceKL(1.0, "k3")(inputs(torch.tensor([[-500.0]]), torch.tensor([[-0.1]]))).total
    assert total.isfinite()


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_run_with_the_term_is_another_and_loads_the_reference(run, equal_weights, estimator):
    def job(*terms):
        return run(steps=2, algorithm=GRPO(8), module_options={"expert": None, "terms": list(terms)})

    plain, kept = job(), job(ReferenceKL(1.0, estimator))
    assert not equal_weights(plain.fit(), kept.fit())
    assert kept.module.models.reference is not None
    assert "train/reference_kl" in kept.trainer.callback_metrics


def test_with_coefficient_0_the_run_is_the_one_without_bit_for_bit(run, equal_weights):
    def job(*terms):
        options = {"expert": None, "terms": list(terms), "micro_batch_tokens": 60}
        return run(steps=3, algorithm=GRPO(8), module_options=options)

    plain, absent = job(), job(ReferenceKL(0.0))
    assert equal_weights(plain.fit(), absent.fit())
    assert absent.module.models.reference is None


def test_it_needs_the_reference_and_reads_rollouts_without_an_advantage():
    term = ReferenceKL(0.1)
    assert term.needs == {Need.REFERENCE_LOGPROBS}
    assert not term.skips_zero_advantage


@pytest.mark.parametrize(("arguments", "said"), [((-0.1,), "coefficient is -0.1"), ((0.1, "k4"), "estimator is 'k4'")])
def test_what_it_cannot_be_is_refused(arguments, said):
    with pytest.raises(UsageError, match=said):
        ReferenceKL(*arguments)
