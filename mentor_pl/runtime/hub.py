"""The Hugging Face Hub, asked once whether it answers: libraries would ask again and again, for a minute."""

from __future__ import annotations

from functools import cache
from typing import Literal

SECONDS = 5.0  # for an answer


@cache
def hub_problem(name: str, kind: Literal["model", "dataset"]) -> str:
    """Why `name` cannot be had from the Hub, in words; empty where nothing speaks against it."""
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE forbids asking the Hub"
    try:
        HfApi().repo_info(name, repo_type=kind, timeout=SECONDS)
    except (RepositoryNotFoundError, HFValidationError):
        return f"the Hub has no such {kind}"
    except HfHubHTTPError:  # the Hub answers; whoever reads from it says why it does not give
        return ""
    except Exception as problem:  # of the HTTP library in use: no route, no answer in time
        return f"the Hub does not answer ({type(problem).__name__})"
    return ""


def is_cached(name: str) -> bool:
    """Whether a model's configuration lies in the Hub's cache on this machine."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        return isinstance(try_to_load_from_cache(name, "config.json"), str)
    except HFValidationError:
        return False
