import subprocess

import pytest

from mentor_pl.experiments.runner.commit import commit


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A package under version control, and one that is not, in the same checkout."""
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
        monkeypatch.setenv(name, "me")
    for package in ("ours", "installed"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("a = 1\n")
    for words in (["init", "-q"], ["add", "ours"], ["commit", "-qm", "one"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path


def test_it_is_the_hash_and_says_whether_files_were_changed(checkout):
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=checkout, capture_output=True, text=True).stdout.strip()
    assert commit(checkout / "ours") == head
    (checkout / "ours/__init__.py").write_text("a = 2\n")
    assert commit(checkout / "ours") == f"{head} with changes"


def test_an_installed_package_is_of_no_commit_though_it_lies_in_a_checkout(checkout):
    assert commit(checkout / "installed") == "none"


def test_outside_of_a_checkout_and_without_git_there_is_none(tmp_path, checkout, monkeypatch):
    assert commit(tmp_path.parent) == "none"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit(checkout / "ours") == "none"


def test_a_hooks_repository_is_not_taken_for_ours(checkout, monkeypatch):
    before = commit(checkout / "ours")
    monkeypatch.setenv("GIT_DIR", str(checkout / "nowhere"))
    assert commit(checkout / "ours") == before != "none"
