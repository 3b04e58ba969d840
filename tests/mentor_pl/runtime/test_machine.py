"""A machine is its processor, the cores that may be used, and GPUs, as far as the system tells."""

from mentor_pl.runtime import machine


def test_the_machine_is_its_processor_cores_and_gpus_as_far_as_the_system_tells(monkeypatch, tmp_path):
    files = {"cpu": "model name\t: Fast One\nmodel name\t: Fast One\n", "gpu": "Model: \t\t Large GPU\nIRQ: 5\n"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(machine, "_CPU", str(tmp_path / "cpu"))
    monkeypatch.setattr(machine, "_GPUS", str(tmp_path / "g*"))
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda process: {0, 3}, raising=False)
    assert machine.described() == "Fast One, 2 cores, Large GPU"
    monkeypatch.setattr(machine, "_CPU", str(tmp_path / "none"))
    assert machine.described().endswith(", 2 cores, Large GPU")
    assert machine.processor()


def test_this_systems_memory_is_read():
    assert machine.host_memory() == 0 or machine.host_memory() > 2**20
    assert machine.resident() == 0 or machine.resident() > 2**20
