"""A cell of a board on a Dask cluster, and the same on this machine."""

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.machines import ROUNDING, Machines, assert_same_trials
from tests.tiny_board import PROTOCOL
from wrongkey.attacks.board.cells import planned_cells
from wrongkey.attacks.board.entries import open_entry
from wrongkey.attacks.board.folder import BoardFolder
from wrongkey.attacks.board.protocol import open_protocol
from wrongkey.attacks.board.running import How, Speech, run_cell
from wrongkey.attacks.harness.results import AttackFolder
from wrongkey.attacks.harness.salt import FORMAT
from wrongkey.evaluation import sweep as sweeping
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.run_folder.strength import strength_content

pytest.importorskip("distributed")

ATTACK, PARTS = "public-model", ("attacks", "strength")


@pytest.fixture(autouse=True)
def same_passes(monkeypatch):
    """One size of shards and passes: keys that are asked together otherwise differ by rounding."""
    monkeypatch.setattr(sweeping, "_shard_size", lambda *asked: 2)
    monkeypatch.setattr(
        Experiment, "tune", lambda experiment, segments=None: setattr(experiment.engine.batch, "rows", 4)
    )


def made(protocol, out, how):
    """A cell in a folder, with one salt wherever it is made."""
    folder = BoardFolder(out)
    folder.claim_board(protocol)
    (cell,) = planned_cells(protocol, [open_entry("rom")], [3])
    attacks = folder.run_folder(cell) / "attacks"
    attacks.mkdir(parents=True)
    (attacks / "salt.json").write_text(json.dumps({"format": FORMAT, "salt": "7" * 64}))
    assert run_cell(protocol, Speech(protocol, "bundled", folder), folder, cell, PARTS, how) == []
    return folder.run_folder(cell)


def test_attacks_and_strength_of_a_cell_are_the_same_on_a_cluster(tmp_path, monkeypatch):
    (tmp_path / "tiny.toml").write_text(PROTOCOL)
    (tmp_path / "machines").mkdir()
    protocol = open_protocol(str(tmp_path / "tiny.toml"))
    machines = Machines(tmp_path / "machines")
    monkeypatch.chdir(tmp_path)
    try:  # the lists of the board's speakers have paths that the worker cannot follow
        there = made(protocol, Path("there"), How(backend="dask", scheduler=machines.address))
    finally:
        machines.end()
    here = made(protocol, tmp_path / "here", How(workers=2))  # of one thread each, as the worker of the cluster
    for attack in (ATTACK, "random-keys", "incorrect-keys"):
        one, other = (
            AttackFolder(folder).rows(attack).sort_values(["given", "trial"], ignore_index=True).drop(columns="seconds")
            for folder in (here, there)
        )
        assert len(one)
        assert_same_trials(one, other)
    one, other = (strength_content(folder) for folder in (here, there))
    assert one and other and one["evaluations"] > 0
    one, other = (pd.json_normalize({**content, "cpu_seconds": 0.0}) for content in (one, other))
    pd.testing.assert_frame_equal(one, other, **ROUNDING)
