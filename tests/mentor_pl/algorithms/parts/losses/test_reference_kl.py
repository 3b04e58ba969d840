"""The estimates by hand, their mean gradients against the divergences written out, and a run with and without."""

import math

import pytest
import torch

from mentor_pl.algorithms.grpo import GRPO
from mentor_pl.algorithms.parts.losses.base import Need
from mentor_pl.algorithms.parts.losses.reference_kl import ReferenceKL
from mentor_pl.runtime.errors import UsageError

ESTIMATORS = ("k1", "k2", "k3")


@pytest.mark.parametrize(
    ("estimator", "total"),
    [
        # π_θ is 1/2 and 1/4, π_ref 1/4 and 1: δ = −log 2 and log 4
        ("k1", math.log(2) - math.log(4)),
        ("k2", (math.log(2) ** 2 + math.log(4) ** 2) / 2),
        ("k3", (0.5 - 1 + math.log(2)) + (4 - 1 - math.log(4))),
    ],
)
def test_the_estimates_by_hand(estimator, total, loss_inputs):
    reference = torch.tensor([[0.25, 1.0, 0.125]]).log()
    batch = loss_inputs([[0.5, 0.25, 0.5]], mask=[[1, 1, 0]], reference_logprobs=reference)
    term = ReferenceKL(0.1, estimator)
    assert float(term(batch).total) == pytest.approx(total, abs=1e-6)
    assert int(term.weight(batch)) == 2


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_mean_gradient_is_that_of_the_divergence_it_is_said_to_be(estimator, loss_inputs):
    """One token of three ids, every id weighed by its probability."""
    logits = torch.tensor([0.3, -0.8, 1.1], dtype=torch.float64, requires_grad=True)
    reference = torch.tensor([-0.5, 0.9, 0.2], dtype=torch.float64).log_softmax(0)
    policy = logits.log_softmax(0)
    each = [{"logprobs": policy[i, None, None], "reference_logprobs": reference[i, None, None]} for i in range(3)]
    totals = [ReferenceKL(1.0, estimator)(loss_inputs([[0.5]], **known)).total for known in each]
    mean = sum(p * total for p, total in zip(policy.exp().detach(), totals, strict=True))
    (ours,) = torch.autograd.grad(mean, logits, retain_graph=True)
    divergence = {
        "k1": (policy * 0).sum(),
        "k2": (policy.exp() * (policy - reference)).sum(),
        "k3": (reference.exp() * (reference - policy)).sum(),
    }[estimator]
    (expected,) = torch.autograd.grad(divergence, logits)
    assert (ours - expected).abs().max() <= 1e-9


def test_a_token_that_the_policy_all_but_rules_out_does_not_overflow(loss_inputs):
    known = {"logprobs": torch.tensor([[-500.0]]), "reference_logprobs": torch.tensor([[-0.1]])}
    assert ReferenceKL(1.0, "k3")(loss_inputs([[0.5]], **known)).total.isfinite()


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
