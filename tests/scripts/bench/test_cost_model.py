"""The cost model's arithmetic, by hand, on a model whose numbers fit in the head."""

from dataclasses import replace

import numpy as np
import pytest
import yaml
from child_environment import ROOT
from cost_model import (
    WAITING,
    Cost,
    Device,
    Model,
    Setting,
    kept,
    occupancy,
    overhead,
    rates,
    sampling,
    step,
    update,
)
from shapes import CACHE_TOKENS, EXPERT_OF, SHAPES, model, setting_of

SMALL = Model(body=100, head=10, parameters=120, layers=2, width=8, key_width=4)
# a FLOP takes a second, reading takes nothing
COUNTING = Device(peak=1.0, bandwidth=1e30, link=1e30, compute_share=1.0, bandwidth_share=1.0, start=0.0)
ONE = Setting(ranks=1, prompts=1, group=2, prompt_tokens=4, max_prompt_tokens=4, limit=4, mixed=1, mini_batches=1)


def test_a_forward_is_matrices_head_and_attention_and_reads_weights_and_cache():
    assert SMALL.flops(tokens=3, scored=2, keys=5) == 2 * 100 * 3 + 2 * 10 * 2 + 4 * 2 * 8 * 5  # 960
    assert SMALL.place == 32  # keys and values, 2 bytes each, 2 layers, 4 wide
    assert SMALL.bytes(keys=5) == 2 * 110 + 32 * 5  # 380


def test_a_forward_takes_what_it_computes_or_what_it_reads_whichever_is_longer():
    device = Device(peak=100, bandwidth=40, compute_share=0.5, bandwidth_share=0.5)
    assert device.seconds(960, 380) == pytest.approx(19.2)  # 960 / 50 against 380 / 20
    assert device.seconds(100, 380) == pytest.approx(19)


def test_of_two_drafts_half_of_which_are_replaced_one_and_a_half_are_kept():
    assert kept(1, 0.5) == 1
    assert kept(2, 0.5) == 1.5
    assert kept(3, 0) == 3


def test_a_rollout_that_waits_takes_the_slot_of_the_first_that_ends():
    rows, ages = occupancy([3, 1, 2], slots=2)  # the third from step 1 on
    assert rows.tolist() == [2, 2, 2]
    assert ages.tolist() == [0, 1, 3]


def test_decoding_by_hand():
    cost = Cost()
    sampling(cost, np.array([1.0, 2.0]), SMALL, None, ONE, COUNTING)
    first, second = 2 * 110 * 2 + 64 * 8, 2 * 110 + 64 * 5  # two rows of 4 keys, then one of 5
    assert cost.seconds["policy decoding"] == first + second
    assert cost.flops["policy decoding"] == first + second
    assert cost.seconds["prefill"] == 2 * 100 * 4 + 64 * 8  # one prompt of 4 tokens, causal


def test_an_update_by_hand():
    cost = Cost()
    device = replace(COUNTING, bandwidth=1.0)
    update(cost, np.array([1.0, 2.0]), SMALL, ONE, device)
    forward = 2 * 100 * (3 + 4) + 2 * 10 * 3 + 64 * (5**2 + 6**2) / 2
    assert cost.seconds["update: forward, loss"] == forward
    assert cost.seconds["update: backward"] == 3 * forward  # two, and the forward again
    assert cost.seconds["update: optimizer"] == 28 * 120


def test_the_expert_costs_its_calls_its_tokens_and_its_scored_positions():
    cost = Cost()
    guided = replace(ONE, weight=1.0, distance=0.0)  # every token is guided, none is replaced
    device = replace(COUNTING, start=1.0)
    sampling(cost, np.array([8.0, 8.0, 8.0]), SMALL, SMALL, guided, device)
    # K is 8 where nothing is replaced: one call, 8 tokens of each row read and scored, against 4 + 7 keys
    assert cost.flops["expert verification"] == 2 * 100 * 24 + 2 * 10 * 24 + 64 * 24 * 11
    assert cost.seconds["expert verification"] == cost.flops["expert verification"] + 1


def test_a_gate_that_never_opens_costs_a_second_phase_and_the_experts_prefill():
    setting = replace(Setting(), weight=0.0)
    policy = model("qwen2.5-7b")
    guided = step(policy, policy, setting, Device())
    plain = step(policy, None, setting, Device(), two_phases=True)
    assert guided.seconds["expert verification"] == 0
    assert guided.seconds["policy decoding"] == pytest.approx(plain.seconds["policy decoding"])
    assert guided.seconds["prefill"] > plain.seconds["prefill"]


def test_ranks_wait_for_the_slowest():
    short, long = np.array([1.0, 1.0]), np.array([3.0, 3.0])

    class Dealt(Setting):
        def lengths(self):
            return np.stack([short, long])

    setting = Dealt(**{**vars(ONE), "ranks": 2, "prompts": 2})
    each = []
    for own in (short, long):
        cost = Cost()
        sampling(cost, own, SMALL, None, setting, COUNTING)
        update(cost, own, SMALL, setting, COUNTING)
        each.append(cost.total)
    assert step(SMALL, None, setting, COUNTING).seconds[WAITING] == pytest.approx((each[1] - each[0]) / 2)


def test_lengths_have_their_mean_and_their_share_at_the_limit():
    lengths = Setting().lengths()
    assert lengths.shape == (8, 128)
    assert lengths.max() == 8192
    assert (lengths == 8192).mean() == pytest.approx(0.01, abs=1e-3)
    assert lengths.mean() == pytest.approx(1500, rel=0.03)  # the limit cuts a little off


def test_a_run_is_as_much_slower_as_its_guided_steps():
    policy = model("qwen2.5-3b")
    of_step, of_run = overhead(policy, model("qwen2.5-7b"), Setting(), Device())
    assert of_step > 1
    assert of_run == pytest.approx(0.6 * of_step + 0.4)


def test_more_guidance_and_more_replacements_cost_more():
    policy = model("qwen2.5-7b")

    def ratio(weight, distance):
        return overhead(policy, policy, replace(Setting(), weight=weight, distance=distance), Device())[0]

    assert ratio(0.02, 0.2) < ratio(0.1, 0.2) < ratio(0.2, 0.2) < ratio(0.2, 0.4)


def test_tokens_per_second_are_the_steps_tokens():
    policy = model("qwen2.5-7b")
    cost = step(policy, None, Setting(), Device())
    assert rates(cost, Setting())["step"] == pytest.approx(Setting().lengths().sum() / cost.total)


@pytest.mark.parametrize(
    ("name", "parameters", "place"),
    [
        ("qwen2.5-3b", 3_085_938_688, 36 * 1024),
        ("qwen2.5-7b", 7_615_616_512, 56 * 1024),
        ("llama-3.1-8b", 8_030_261_248, 128 * 1024),
    ],
)
def test_shapes_have_the_published_numbers_of_parameters(name, parameters, place):
    assert model(name).parameters == parameters
    assert model(name).place == place


def test_every_shape_is_a_policy_and_has_the_cache_of_its_configuration():
    assert {path.stem for path in SHAPES.glob("*.json")} == set(EXPERT_OF)
    for name in EXPERT_OF:
        data = yaml.safe_load((ROOT / f"configs/models/{name}.yaml").read_text()).get("data", {})
        given = data.get("sampler", {}).get("init_args", {}).get("cache_tokens")
        assert given == CACHE_TOKENS.get(name)
        assert setting_of(name).cache_tokens == (given or 2**18)
