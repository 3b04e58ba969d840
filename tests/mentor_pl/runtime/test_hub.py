"""The Hub is asked once, and what it cannot give is said in words."""

import huggingface_hub
import pytest
from huggingface_hub import constants
from huggingface_hub.errors import RepositoryNotFoundError

from mentor_pl.runtime import hub


@pytest.fixture
def answer(monkeypatch):
    """What the Hub does -> what is said of a name, asked twice, and how often the Hub was."""

    def ask(error):
        asked = []

        def repo_info(self, name, repo_type, timeout):
            asked.append(name)
            if error is not None:
                raise error

        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(huggingface_hub.HfApi, "repo_info", repo_info)
        hub.hub_problem.cache_clear()
        said = {hub.hub_problem("nobody/nothing", "model") for _ in range(2)}
        hub.hub_problem.cache_clear()
        assert len(said) == len(asked) == 1
        return said.pop()

    return ask


def test_what_it_has_is_no_problem(answer):
    assert answer(None) == ""


def test_what_it_lacks_is_said(answer):
    missing = RepositoryNotFoundError.__new__(RepositoryNotFoundError)
    assert answer(missing) == "the Hub has no such model"


def test_no_answer_is_said(answer):
    assert answer(TimeoutError()) == "the Hub does not answer (TimeoutError)"


def test_where_asking_is_forbidden_nothing_is_asked(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.HfApi, "repo_info", lambda *_: pytest.fail("asked"))
    hub.hub_problem.cache_clear()
    assert hub.hub_problem("nobody/nothing", "model") == "HF_HUB_OFFLINE forbids asking the Hub"
