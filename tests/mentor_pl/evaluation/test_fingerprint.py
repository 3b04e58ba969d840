import pytest
import torch
from torch import nn

from mentor_pl.evaluation.fingerprint import fingerprint


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
    [change_one, lambda weights: weights.neg_(), lambda weights: weights[0].zero_()],
    ids=["bit", "sign", "row"],
)
def test_any_other_weight_has_another_fingerprint(change):
    other = model()
    with torch.no_grad():
        change(other[0].weight)
    assert fingerprint(other) != fingerprint(model())


def test_another_dtype_has_another_fingerprint():
    assert len({fingerprint(model().to(dtype)) for dtype in (torch.float32, torch.bfloat16, torch.float64)}) == 3
