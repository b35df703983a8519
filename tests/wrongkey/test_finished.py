"""What a finished run answers by itself, and what it does not; JSON, quiet and default folders."""

import json

import pytest
from filelock import FileLock

from tests.wrongkey.test_cli import SWEEP
from wrongkey.cli import main
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.finished import is_finished
from wrongkey.files import is_part

ATTACK = "attack known-plaintext --corpus bundled --scheme rom --block 4 --trials 2 --keys 5 --workers 1".split()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "a run"
    assert main([*SWEEP, "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def never(monkeypatch):
    """Neither sweeps nor attacks may begin."""

    def begun(*_, **__):
        raise AssertionError("it began")

    monkeypatch.setattr("wrongkey.evaluation.sweep.sweep", begun)
    monkeypatch.setattr("wrongkey.attacks.harness.suite.run_attacks", begun)


def test_a_finished_sweep_answers_from_its_manifest(run, never, capsys):
    assert main([*SWEEP, "--out", str(run)]) == 0
    done = capsys.readouterr()
    assert "was finished before; model and speech were not read again" in done.err
    assert done.out.splitlines()[-1].endswith(f"wrongkey report '{run}' --out report.html")  # quoted for a shell
    assert main([*SWEEP, "--out", str(run), "--keys", "3"]) == 0  # fewer are done, too


def test_what_a_killed_command_left_in_a_finished_run_is_removed_unless_another_writes_there(run, never):
    lock, part = run / ".wrongkey.lock", run / f".{'0' * 16}.part"
    for left in (lock, part):
        left.touch()
    assert is_part(part)
    with FileLock(lock):
        assert main([*SWEEP, "--out", str(run)]) == 0
        assert lock.exists() and part.exists()
    assert main([*SWEEP, "--out", str(run)]) == 0
    assert not lock.exists() and not part.exists()


@pytest.mark.parametrize("other", [("--check",), ("--keys", "5"), ("--seed", "1"), ("--precision", "float64")])
def test_what_was_not_asked_before_is_asked_of_the_model(run, never, other):
    with pytest.raises(AssertionError, match="it began"):
        main([*SWEEP, "--out", str(run), *other])


def test_passes_of_another_size_are_refused_also_of_a_finished_run(run, capsys):
    rows = json.loads((run / "manifest.json").read_text())["batch"]["rows"]
    assert main([*SWEEP, "--out", str(run), "--rows", str(rows)]) == 0
    assert main([*SWEEP, "--out", str(run), "--rows", str(rows + 1)]) == 2
    assert f"The run began with passes of {rows} rows" in capsys.readouterr().err


def test_an_unfinished_or_damaged_run_is_no_answer(run, tmp_path, never):
    import shutil

    config = SweepConfig("tests.toys:raw3", "bundled", per_speaker=2, replicates=5, keys=4)
    assert is_finished(config, run) and not is_finished(config, tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    next((copy / "scores").glob("incorrect-*")).write_bytes(b"cut off")
    with pytest.raises(AssertionError, match="it began"):  # the sweep mends it
        main([*SWEEP, "--out", str(copy)])
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest | {"ended": None}))
    assert not is_finished(config, copy)


def test_finished_attacks_answer_the_same_command(tmp_path, monkeypatch, capsys):
    asked = [*ATTACK, "--out", str(tmp_path / "a")]
    assert main(asked) == 0
    verdict = capsys.readouterr().out

    def begun(*_, **__):
        raise AssertionError("it began")

    monkeypatch.setattr("wrongkey.attacks.harness.suite.run_attacks", begun)
    assert main(asked) == 0
    done = capsys.readouterr()
    assert "was finished before" in done.err and done.out == verdict
    for other in (["--trials", "3"], ["--check"], ["--keys", "6"]):
        with pytest.raises(AssertionError, match="it began"):
            main([*asked, *other])
    suite = tmp_path / "a/attacks/suite.json"
    suite.write_text(json.dumps(json.loads(suite.read_text()) | {"ended": None}))
    with pytest.raises(AssertionError, match="it began"):
        main(asked)
    assert main(["ls", str(tmp_path)]) == 0
    assert "attacks" in (line := capsys.readouterr().out) and "unfinished" in line and "Undecided: the key" in line


def test_results_as_json_are_one_document(run, capsys):
    for command in ([*SWEEP, "--out", str(run)], ["ls", str(run.parent)], ["models"], ["corpora"],
                    ["corpora", "show", "bundled"], ["keys", "space", "--scheme", "rom", "--block", "3"]):  # fmt: skip
        capsys.readouterr()
        assert main([*command, "--json", "--quiet"]) == 0
        done = capsys.readouterr()
        assert json.loads(done.out) and done.err == ""
    found = json.loads(_out(capsys, [*SWEEP, "--out", str(run), "--json"]))
    assert found["keys"] == 4 and found["state"] == "complete" and found["metric"] == "eer"
    assert found["best_wrong_key"]["index"] in range(4) and found["self_checks_passed"] == found["self_checks"]
    (listed,) = json.loads(_out(capsys, ["ls", str(run), "--json"]))
    assert {name: listed[name] for name in found} == found


def test_attacks_are_listed_with_what_they_need(capsys):
    listed = {one["name"]: one for one in json.loads(_out(capsys, ["attack", "list", "--json"]))}
    assert listed["polyphase"]["needs"] == ["ciphertext"] and "rom" in listed["polyphase"]["applies_to"]["samples"]
    assert listed["public-model"]["needs"] == ["encrypted model", "public model"]
    assert "polyphase            needs ciphertext" in _out(capsys, ["attack", "list"])


def test_a_sweep_without_a_folder_makes_one_and_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*SWEEP, "--scheme", "Flipping"]) == 0
    assert "The run folder is runs/tests.toys-raw3-flipping" in capsys.readouterr().err
    assert (tmp_path / "runs/tests.toys-raw3-flipping/manifest.json").is_file()


def _out(capsys, command):
    capsys.readouterr()
    assert main(command) == 0
    return capsys.readouterr().out
