"""A toy model and three problems to measure it on."""

import pytest
import torch


@pytest.fixture
def models(lookup_models):
    return lookup_models(torch.randn(2, 6, 6, generator=torch.Generator().manual_seed(4)))


@pytest.fixture
def path(write_jsonl):
    """Three problems, prompts [1], [2], [3], whose answers are the same words."""
    return str(write_jsonl([{"problem": f"t{i}", "answer": f"t{i}", "id": f"p{i}"} for i in (1, 2, 3)]))
