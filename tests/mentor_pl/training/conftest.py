"""What the training tests share."""

import pytest
import torch


@pytest.fixture
def models(lookup_models):
    generator = torch.Generator().manual_seed(0)
    return lookup_models(*(torch.randn(4, 6, 6, generator=generator) for _ in range(2)))
