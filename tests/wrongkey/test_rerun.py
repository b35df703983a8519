"""``wrongkey rerun`` as a user calls it: equal, not equal, changed since, and attacks with and without their salt."""

import json
import shutil

import pytest

from tests.wrongkey.test_cli import refused
from tests.wrongkey.test_finished import ATTACK
from wrongkey.attacks.harness.results import AttackFolder
from wrongkey.cli import main
from wrongkey.evaluation.run_folder.folder import RunFolder

SWEEP = "sweep --model tests.toys:raw3 --per-speaker 2 --replicates 5 --workers 1 --keys 5 --keep-outputs".split()


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    """The bundled voices in a folder that tests may change."""
    from wrongkey.evaluation.corpora import open_corpus

    folder = tmp_path_factory.mktemp("speech") / "voices"
    shutil.copytree(open_corpus("bundled").root, folder)
    return folder


@pytest.fixture(scope="module")
def run(speech, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert main([*SWEEP, "--corpus", f"kaldi:{speech}", "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def attacked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "attacked"
    assert main([*ATTACK, "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run, tmp_path / "copy")


def test_a_sweep_made_again_has_the_same_scores(run, tmp_path, capsys):
    again = tmp_path / "again"
    assert main(["rerun", str(run), "--out", str(again), "--trust", "--json", "--quiet"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["equal"] is True and found["attacks"] is None
    assert found["scores"]["exact"] and found["scores"]["keys"] == 5 and found["scores"]["outputs"] == []
    assert RunFolder(again).shards() == RunFolder(run).shards()
    before, now = (json.loads((folder / "manifest.json").read_text()) for folder in (run, again))
    assert now["identity"] == before["identity"] and now["batch"] == before["batch"]
    assert now["sessions"][0]["threads"] == before["sessions"][0]["threads"] >= 1
    assert now["config"]["command"].startswith("wrongkey sweep --model tests.toys:raw3 ")


def test_a_run_is_made_again_on_the_device_that_is_named(run, attacked, tmp_path, capsys):
    """As one that was made on a GPU is on a machine without one."""
    out = ("--out", tmp_path / "again")
    assert "'moon'" in refused(capsys, "rerun", run, "--trust", "--device", "moon", *out)
    assert "'moon'" in refused(capsys, "rerun", attacked, "--trust", "--device", "moon", *out)
    assert main(["rerun", str(run), "--out", str(tmp_path / "other"), "--trust", "--device", "cpu", "--quiet"]) == 0
    assert json.loads((tmp_path / "other" / "manifest.json").read_text())["config"]["device"] == "cpu"


def test_scores_that_differ_are_named_and_the_exit_code_says_so(copy, capsys):
    """The default folder holds the other run but for its end, so that no key is asked again."""
    shutil.copytree(copy, copy.with_name("copy-rerun"))
    unfinished = copy.with_name("copy-rerun") / "manifest.json"
    unfinished.write_text(json.dumps(json.loads(unfinished.read_text()) | {"ended": None}))
    folder = RunFolder(copy)
    start, stop = folder.shards()[0]
    name = f"incorrect-{start:08d}-{stop:08d}"
    import pandas as pd

    rows = pd.read_parquet(copy / "scores" / f"{name}.parquet")
    rows.loc[(rows["metric"] == "eer") & (rows["key_index"] == start), "value"] += 10
    folder.claim(json.loads((copy / "manifest.json").read_text())["identity"])
    folder.write_scores(name, rows.to_dict("records"))
    assert main(["rerun", str(copy), "--trust"]) == 1
    said = capsys.readouterr().out
    assert "The scores are not equal" in said and f"  key {start}, eer: " in said
    assert main(["rerun", str(copy), "--trust"]) == 2
    assert "copy-rerun holds an earlier rerun: delete it, or name another folder" in capsys.readouterr().err


def test_a_run_that_cannot_be_made_again_is_refused(run, copy, speech, tmp_path, capsys):
    out = ("--out", tmp_path / "again")
    assert "add --trust" in refused(capsys, "rerun", run, *out)
    assert "is the run itself" in refused(capsys, "rerun", run, "--trust", "--out", run)
    assert "is not a folder" in refused(capsys, "rerun", tmp_path / "nothing", *out)
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["config"]["seed"] = 7
    (copy / "manifest.json").write_text(json.dumps(manifest))
    assert "was edited: its settings say seed 7, and its identity 0" in refused(capsys, "rerun", copy, "--trust", *out)
    assert not (tmp_path / "again").exists()


def test_speech_that_has_changed_is_named(run, speech, tmp_path, capsys):
    before, other, *_ = sorted((speech / "audio" / "af_alloy").iterdir())
    content = before.read_bytes()
    try:
        shutil.copyfile(other, before)
        said = refused(capsys, "rerun", run, "--trust", "--out", tmp_path / "again")
    finally:
        before.write_bytes(content)
    assert "Changed since: the speech" in said and not (tmp_path / "again").exists()


def test_attacks_made_again_meet_the_same_keys(attacked, tmp_path, capsys):
    assert main(["rerun", str(attacked), "--out", str(tmp_path / "again"), "--workers", "1"]) == 0
    assert "All results of 21 trials of attacks are equal bit for bit." in capsys.readouterr().out


def test_attacks_that_had_other_amounts_in_each_session_have_all_of_them_again(tmp_path, capsys):
    out = tmp_path / "attacked"
    asked = "attack sign-chain --corpus bundled --scheme flipping --block 4 --trials 1 --device cpu --keys 2"
    for amount in (["--seconds", "1"], []):
        assert main([*asked.split(), "--workers", "1", "--quiet", "--out", str(out), *amount]) == 0
    rows = AttackFolder(out).rows("sign-chain")
    assert rows["given_seconds"].nunique() > 2
    capsys.readouterr()
    assert main(["rerun", str(out), "--workers", "1", "--json", "--quiet"]) == 0
    found = json.loads(capsys.readouterr().out)["attacks"]
    assert found["exact"] and found["rows"] >= len(rows)


def test_without_their_salt_keys_are_drawn_anew(attacked, tmp_path, capsys):
    copy = shutil.copytree(attacked, tmp_path / "copy")
    (copy / "attacks" / "salt.json").unlink()
    assert main(["rerun", str(copy), "--workers", "1"]) == 3
    assert "21 trials of attacks had keys whose salt was not kept" in capsys.readouterr().out


def test_code_and_settings_of_attacks_are_looked_at_first(attacked, tmp_path, capsys):
    copy = shutil.copytree(attacked, tmp_path / "copy")
    path = copy / "attacks" / "suite.json"
    suite = json.loads(path.read_text())
    out = ("--out", tmp_path / "again")

    def edited(**parts):
        path.write_text(json.dumps({**suite, **parts}))

    edited(attacks={**suite["attacks"], "os:getcwd": suite["attacks"]["known-plaintext"]})
    assert "names the attack 'os:getcwd', which runs the Python module os: add --trust" in refused(
        capsys, "rerun", copy, *out
    )
    edited(config={**suite["config"], "scheme": "flipping"})
    assert "its settings say scheme flipping, and its identity rom" in refused(capsys, "rerun", copy, *out)
    about = {**suite["attacks"]["known-plaintext"], "settings": {"restarts": 8}}
    edited(attacks={**suite["attacks"], "known-plaintext": about})
    assert "run with another setting restarts (8 there, 'absent' now)" in refused(capsys, "rerun", copy, *out)
