from mentor_pl.training.loader import RolloutLoader


def test_loader_is_sized_and_resumes_at_its_place():
    loader = RolloutLoader(lambda step: step, steps=5)
    assert len(loader) == 5
    batches = iter(loader)
    assert [next(batches), next(batches)] == [0, 1]
    resumed = RolloutLoader(lambda step: step, steps=5)
    resumed.load_state_dict(loader.state_dict())
    assert list(resumed) == [2, 3, 4]
