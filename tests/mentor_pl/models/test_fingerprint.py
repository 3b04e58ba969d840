import pytest
import torch
from torch import nn

from mentor_pl.models.fingerprint import fingerprint


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(40, 30), nn.Linear(30, 2))


def test_equal_weights_have_equal_fingerprints():
    assert fingerprint(model()) == fingerprint(model())
    assert len(fingerprint(model())) == 16


def change_one(weights):
    weights[17, 3] = torch.nextafter(weights[17, 3], torch.tensor(9.0))


@pytest.mark.parametrize(
    "change",
    [
        change_one,
        lambda weights: weights.neg_(),
        lambda weights: weights[0].zero_(),
        lambda weights: weights.copy_(weights.flip(0)),
        lambda weights: weights.copy_(weights.flip(1)),
    ],
    ids=["bit", "sign", "row", "order of rows", "order of columns"],
)
def test_any_other_weight_has_another_fingerprint(change):
    other = model()
    with torch.no_grad():
        change(other[0].weight)
    assert fingerprint(other) != fingerprint(model())


def test_another_dtype_has_another_fingerprint():
    assert len({fingerprint(model().to(dtype)) for dtype in (torch.float32, torch.bfloat16, torch.float64)}) == 3


@pytest.mark.parametrize(
    "other",
    [
        {"other": torch.zeros(2, 3)},
        {"weight": torch.zeros(3, 2)},
        {"weight": torch.zeros(2, 3, dtype=torch.bfloat16)},
    ],
    ids=["name", "shape", "dtype"],
)
def test_zeros_of_another_name_shape_or_dtype_have_another_fingerprint(other):
    models = [nn.ParameterDict({"weight": torch.zeros(2, 3)}), nn.ParameterDict(other)]
    assert len({fingerprint(one) for one in models}) == 2


def test_a_scalar_is_a_weight_too():
    ones, twos = nn.ParameterDict({"w": torch.tensor(1.0)}), nn.ParameterDict({"w": torch.tensor(2.0)})
    assert fingerprint(ones) != fingerprint(twos)
