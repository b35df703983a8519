"""`--backend` and `--scheduler` of the commands that a cluster computes for: refused before anything is read."""

import pytest

from wrongkey.cli import main

COMMANDS = (
    "sweep --model asv-raw10 --corpus bundled",
    "strength --model asv-raw10 --corpus bundled",
    "attack known-plaintext --corpus bundled --block 4",
    "board --protocol smoke --corpus bundled",
)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--backend dask", "--backend dask needs the scheduler's address"),
        ("--scheduler tcp://127.0.0.1:1", "add --backend dask"),
        ("--backend dask --scheduler nowhere", "--scheduler must be an address"),
    ],
)
def test_a_cluster_needs_its_scheduler(command, flags, said, tmp_path, capsys):
    assert main([*command.split(), *flags.split(), "--out", str(tmp_path / "out")]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
