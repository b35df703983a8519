"""Attacks whose trials a Dask scheduler hands to its workers: what they find, what they survive, and who knows what."""

import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from tests.attacks.harness.dawdling import Dawdling
from tests.machines import ROOT, Machines, assert_same_trials, wait_for
from tests.narrow import present
from tests.needles import Needles, files_with
from wrongkey.attacks.base import Case
from wrongkey.attacks.harness import planned, suite
from wrongkey.attacks.harness.config import AttackConfig
from wrongkey.attacks.harness.elsewhere import told_elsewhere
from wrongkey.attacks.harness.guessing import Guessing
from wrongkey.attacks.harness.registry import open_attack
from wrongkey.attacks.harness.results import AttackFolder
from wrongkey.attacks.harness.salt import Salt, read_salt
from wrongkey.attacks.harness.target import Target
from wrongkey.cli import main
from wrongkey.errors import BadInput
from wrongkey.evaluation import sweep as sweeping
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.processes.cluster import Cluster, cluster

pytest.importorskip("distributed")

SEED, BLOCK, TRIALS = 3, 4, 3
TASK_BYTES = 20_000  # of a trial's call: no speech and no weights
NAMES = ("known-plaintext", "public-model")
SALT = "attacks/salt.json"


@pytest.fixture(scope="module")
def machines(tmp_path_factory):
    """A scheduler with one worker, which a nanny watches, as Dask has it by default."""
    found = Machines(tmp_path_factory.mktemp("cluster"), "--nanny")
    yield found
    found.end()


@pytest.fixture(autouse=True)
def same_passes(monkeypatch):
    """One size of shards and passes: keys that are asked together otherwise differ by rounding."""
    monkeypatch.setattr(sweeping, "_shard_size", lambda *asked: 2)
    monkeypatch.setattr(
        Experiment, "tune", lambda experiment, segments=None: setattr(experiment.engine.batch, "rows", 4)
    )


def config(**settings: Any) -> AttackConfig:
    shared: dict[str, Any] = {"corpus": "bundled", "block": BLOCK, "trials": TRIALS, "seed": SEED, "seconds": (1.0,)}
    return AttackConfig(**shared | {"device": "cpu"} | settings)


def run(machines, out, asked, attacks, **settings) -> AttackFolder:
    shared = {"keys": 3, "backend": "dask", "scheduler": machines.address}
    return suite.run_attacks(asked, attacks, out, **shared | settings)


def rows(folder: AttackFolder, attack: str) -> pd.DataFrame:
    """Rows in one order, without the time that they took."""
    return folder.rows(attack).sort_values(["given", "trial"], ignore_index=True).drop(columns="seconds")


def scores(folder: AttackFolder) -> pd.DataFrame:
    table = pd.concat(map(pd.read_parquet, folder.path.glob("scores/*.parquet")))
    return table.sort_values(["condition", "metric", "key_index"], ignore_index=True)


def memory_of(process: int) -> Iterator[bytes]:
    """What a process holds in memory, piece by piece."""
    with Path(f"/proc/{process}/maps").open() as maps, Path(f"/proc/{process}/mem").open("rb") as held:
        for line in maps:
            words = line.split()
            first, last = (int(word, 16) for word in words[0].split("-"))
            if words[1].startswith("rw") and last - first < 2**30:
                try:
                    held.seek(first)
                    yield held.read(last - first)
                except OSError:  # of the kernel's own
                    continue


def holds(process: int, secret: bytes) -> bool:
    return any(secret in piece for piece in memory_of(process))


@pytest.fixture(scope="module")
def both(machines, tmp_path_factory) -> tuple[AttackFolder, AttackFolder, list[bytes], list[bytes]]:
    """A run on this machine, the same on the cluster, and what was sent to its workers and came back.

    The list of utterances, the run folders and what lies in them have paths that the worker cannot follow.
    """
    place = tmp_path_factory.mktemp("both")
    asked = config(model="tests.toys:raw3", block=None, per_speaker=2, only="few.txt")
    sent, back = list[bytes](), list[bytes]()
    submit = Cluster.submit

    def noted(self, function, /, *arguments, **settings):
        sent.append(pickle.dumps((function, arguments)))
        future = submit(self, function, *arguments, **settings)
        future.add_done_callback(lambda done: back.append(pickle.dumps(done.result())))
        return future

    cases = planned.cases
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planned, "cases", lambda attack, target: cases(attack, target)[:3])
        patch.setattr(sweeping, "_shard_size", lambda *asked: 2)
        patch.setattr(Experiment, "tune", lambda experiment, segments=None: setattr(experiment.engine.batch, "rows", 4))
        patch.setattr(Cluster, "submit", noted)
        patch.chdir(place)
        whole = Target(config(), place / "whole")
        spoken = [one.id for part in (whole.victims_corpus, whole.background_corpus) for one in part.utterances]
        Path("few.txt").write_text("\n".join(sorted(spoken)))
        here = run(machines, Path("here"), asked, NAMES, backend="loky", scheduler=None, workers=2)
        assert not sent
        there = run(machines, Path("there"), asked, NAMES, salt=Path("here") / SALT)
        return AttackFolder(place / here.path), AttackFolder(place / there.path), sent, back


@pytest.mark.parametrize("attack", [*NAMES, "random-keys", Guessing.name])
def test_a_cluster_finds_the_rows_of_this_machine(both, attack):
    here, there, _, _ = both
    assert len(rows(here, attack))
    assert_same_trials(rows(there, attack), rows(here, attack))


def test_the_sweep_of_incorrect_keys_goes_through_the_cluster_too(both):
    here, there, sent, _ = both
    pd.testing.assert_frame_equal(scores(there), scores(here), check_exact=True)
    assert any(b"run_shard" in call for call in sent) and any(b"_in_worker" in call for call in sent)


def test_calls_hold_no_speech_and_no_salt(both):
    here, _, sent, _ = both
    salt = read_salt(here.path / SALT)
    assert max(map(len, sent)) < TASK_BYTES
    assert not any(salt.secret in call or salt.secret.hex().encode() in call for call in sent)


def keys_of(folder: AttackFolder) -> list[np.ndarray]:
    """The victims' keys of all trials of an attack that recovers them."""
    salt, attack, size = read_salt(folder.path / SALT), open_attack(NAMES[0]), 3
    target = Target(config(model="tests.toys:raw3", block=None), folder.path / "again")
    cases = planned.cases(attack, target)
    return [salt.of(attack.name, case, number).key(target.scheme, size) for case in cases for number in range(TRIALS)]


def test_a_key_is_in_nothing_that_comes_back_or_lies_on_a_disk(both, machines):
    here, _, _, back = both
    assert (here.rows(NAMES[0])["key_error"] < 1e-6).any()  # else there would be no key to come back
    for key in keys_of(here):
        assert not any(Needles(key).found_in(answer) for answer in back)
        assert not files_with(Needles(key), machines.folder)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="reads the memory of processes of Linux")
def test_the_salt_is_in_the_memory_of_no_machine(both, machines):
    salt = read_salt(both[0].path / SALT)
    for process in machines.processes():
        assert not holds(process, salt.secret) and not holds(process, salt.secret.hex().encode())
    assert any(holds(process, salt.fingerprint.encode()) for process in machines.processes())  # it would be found


def test_the_command_line_reaches_the_cluster(machines, tmp_path, monkeypatch):
    sent, submit = list[Any](), Cluster.submit

    def counted(self, *call):
        sent.append(call)
        return submit(self, *call)

    monkeypatch.setattr(Cluster, "submit", counted)
    words = "attack known-plaintext --scheme rom --trials 1 --keys 2 --corpus bundled --block 3 --media none"
    where = ["--backend", "dask", "--scheduler", machines.address, "--out", str(tmp_path / "run")]
    assert main([*words.split(), *where]) == 0
    folder = AttackFolder(tmp_path / "run")
    assert len(sent) == len(folder.rows("known-plaintext")) + len(folder.rows("random-keys"))
    assert present(folder.suite())["sessions"][-1]["threads"] is None  # its workers have their own


def test_a_trial_of_a_killed_worker_goes_to_one_that_joins(tmp_path):
    machines, log = Machines(tmp_path), tmp_path / "log.txt"

    def kill() -> None:  # while the second trial is computed
        wait_for(lambda: log.exists() and len(log.read_text().split()) == 2)
        machines.kill_worker()
        machines.add()

    killing = threading.Thread(target=kill)
    killing.start()
    try:
        folder = run(machines, tmp_path / "run", config(), [Dawdling(SEED, 3.0, log)])
        killing.join()
    finally:
        machines.end()
    found, begun = folder.rows(Dawdling.name), log.read_text().split()
    assert sorted(found["trial"]) == list(range(TRIALS)) and not any(found["failed"])
    assert len(begun) == TRIALS + 1 and len(set(begun)) == TRIALS


def test_a_trial_ends_with_its_caller(machines, tmp_path):
    def stop(stage: str, done: int, trials: int) -> None:
        if Dawdling.name in stage and done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(machines, tmp_path / "run", config(), [Dawdling(SEED, 3600.0, tmp_path / "log.txt")], stages=stop)
    with cluster(machines.address) as free:  # its one thread is, or this waits for an hour
        assert free.submit(abs, -1).result(timeout=120) == 1


def test_a_worker_with_other_speech_is_refused(machines, tmp_path, monkeypatch):
    noise = np.random.default_rng(0).normal(0, 0.1, (8, 16_000))
    files = [tmp_path / f"speech/{speaker}/{number}.wav" for speaker in "abcd" for number in (1, 2)]
    for file, samples in zip(files, noise, strict=True):
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, samples, 16_000)

    def changed(target):  # what the worker finds is no longer what the caller read
        found = told_elsewhere(target)
        soundfile.write(files[0], noise[0] * 0.5, 16_000)
        return found

    monkeypatch.setattr(suite, "told_elsewhere", changed)
    said = r"^The worker \S+ sees another speech of the victims: give every worker the same files\.$"
    with pytest.raises(BadInput, match=said):
        run(machines, tmp_path / "run", config(corpus=str(tmp_path / "speech")), ["known-plaintext"])


def test_a_worker_without_the_speech_names_itself(machines, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(BadInput, match=r"^The worker \S+ refused its work \(.*\): give every worker the same files\.$"):
        run(machines, tmp_path / "run", config(corpus="evaluation/corpora/bundled"), ["known-plaintext"])


def test_secrets_are_those_of_one_trial_and_no_text_shows_them():
    salt = Salt(bytes(range(32)))
    one, other = (salt.of("polyphase", Case(), number) for number in (0, 1))
    assert one.of("polyphase", Case(), 0) is one
    with pytest.raises(AssertionError, match="another trial"):
        one.of("polyphase", Case(), 1)
    for secret in (one.key_seed, one.noise, one.owner, one.reply):
        assert str(secret) not in repr(one)
    assert {one.key_seed, one.noise, one.reply}.isdisjoint({other.key_seed, other.noise, other.reply})
