import torch

from callbacks import ExactResume


def test_random_numbers_go_on_where_the_checkpoint_was_saved(run):
    job, saver, restorer = run(), ExactResume(), ExactResume()
    checkpoint = {}
    saver.on_save_checkpoint(job.trainer, job.module, checkpoint)
    expected = torch.rand(4)
    torch.manual_seed(99)
    restorer.on_load_checkpoint(job.trainer, job.module, checkpoint)
    restorer.on_train_start(job.trainer, job.module)
    assert torch.equal(torch.rand(4), expected)


def test_a_fresh_run_is_left_alone(run):
    job = run()
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    ExactResume().on_train_start(job.trainer, job.module)
    assert torch.equal(torch.rand(4), expected)
