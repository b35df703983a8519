"""What someone else's run folder may do: its manifest is read, and nothing that it names is run."""

import json
import os
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from tests.wrongkey.test_cli import refused
from wrongkey import plugins
from wrongkey.attacks.analyses import trust
from wrongkey.errors import BadInput
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.corpora.layouts import READERS
from wrongkey.evaluation.models.offered import BUNDLED, LOADERS

RUNS = {"rawnext": False, "timm": False, "ge2e": False}  # every other kind of model runs more than a reader of files


@pytest.fixture
def made(tmp_path):
    """A run folder whose manifest names what it is told to."""

    def manifest(**config):
        named = {"model_spec": "asv-raw3", "corpus_spec": "bundled", "scheme": "rom", "task": "asv", **config}
        text = json.dumps({"format": "wrongkey-run/1", "config": named, "identity": {}})
        (tmp_path / "manifest.json").write_text(text)
        return tmp_path

    return manifest


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """A module that leaves a mark where it is imported."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trap.py").write_text("open('sprung', 'w')\n\ndef make():\n    raise SystemExit\n")
    yield tmp_path / "sprung"
    sys.modules.pop("trap", None)


@pytest.mark.parametrize("analysis", [("keys", "{}"), ("decryption", "--out", "{}")])
@pytest.mark.parametrize(
    "named",
    [
        {"model_spec": "trap:make"},
        {"corpus_spec": "trap:make"},
        {"scheme": "trap:make"},
        {"model_spec": "command:sh -c 'touch sprung' {wav}"},
    ],
)
def test_code_that_a_manifest_names_is_not_run(made, trap, capsys, analysis, named):
    folder = made(**named)
    said = refused(capsys, "analyse", *(word.format(folder) for word in analysis))
    assert str(folder / "manifest.json") in said and next(iter(named.values())).split("'")[0] in said
    assert "--trust" in said and "run" in said
    assert not trap.exists()


def test_the_user_may_say_so(made, trap, capsys):
    folder = made(scheme_spec="trap:make")
    assert "other:make is not that of the sweep" in refused(capsys, "analyse", "keys", folder, "--scheme", "other:make")
    assert "names the scheme" in refused(capsys, "analyse", "keys", folder)
    assert not trap.exists()
    assert "ended the program" in refused(capsys, "analyse", "keys", folder, "--scheme", "trap:make")
    trap.unlink()
    sys.modules.pop("trap")
    folder = made(model_spec="trap:make")
    assert "other:make is not that of the sweep" in refused(capsys, "analyse", "keys", folder, "--model", "other:make")
    assert "names the model" in refused(capsys, "analyse", "keys", folder, "--corpus", "bundled")
    assert not trap.exists()
    ended = "ended the program (exit None): mend its factory"  # which is what this factory does
    assert ended in refused(capsys, "analyse", "keys", folder, "--model", "trap:make")
    assert trap.exists()
    assert ended in refused(capsys, "analyse", "decryption", "--out", folder, "--trust")


def test_every_kind_of_model_and_corpus_is_judged(tmp_path):
    assert not any(trust.model_risk(name) for name in BUNDLED)
    assert {prefix for prefix in LOADERS if trust.model_risk(f"{prefix}:x") is None} == RUNS.keys()
    assert not any(trust.corpus_risk(f"{layout}:/nowhere") for layout in READERS)
    assert trust.corpus_risk(str(tmp_path)) is None and trust.corpus_risk("bundled-words") is None
    assert "Python module" in (trust.corpus_risk("audio:make") or "")
    assert "ESPnet" in (trust.model_risk("espnet:x") or "") and "command" in (trust.model_risk("command:x {wav}") or "")
    assert trust.scheme_risk("rom") is None


def test_what_an_installed_package_registers_is_code_too(monkeypatch):
    monkeypatch.setattr(plugins, "entry_points", lambda group: [EntryPoint("theirs", "x:y", group)])
    for risk in (trust.model_risk, trust.corpus_risk, trust.scheme_risk):
        assert "installed package" in (risk("theirs") or "")
        assert risk("unknown") is None  # opening it says so
    config = SweepConfig(model="theirs", corpus="bundled")
    with pytest.raises(BadInput, match="installed package"):
        trust.refuse_code(config, Path("manifest.json"))
    trust.refuse_code(config, Path("manifest.json"), ["theirs"])
    trust.refuse_code(config, Path("manifest.json"), [trust.EVERYTHING])


@pytest.mark.parametrize("setting", ["only", "trials"])
def test_a_list_of_the_sweep_that_is_not_there_is_named_with_its_flag(made, tmp_path, capsys, setting):
    folder = made(**{setting: "adults.txt"})
    said = refused(capsys, "analyse", "keys", folder)
    assert f"The sweep's --{setting} adults.txt" in said and "in the folder where the sweep was run" in said
    folder = made(**{setting: str(tmp_path / "adults.txt")})
    assert f"The sweep's --{setting} {tmp_path}" in refused(capsys, "analyse", "decryption", "--out", folder)


@pytest.mark.parametrize("setting", ["only", "trials", "corpus_spec", "model_spec"])
def test_a_pipe_in_a_manifest_is_not_waited_for(made, tmp_path, capsys, setting):
    os.mkfifo(tmp_path / "pipe")
    spec = {"corpus_spec": f"jsonl:{tmp_path / 'pipe'}", "model_spec": f"rawnext:{tmp_path / 'pipe'}"}
    folder = made(**{setting: spec.get(setting, str(tmp_path / "pipe"))})
    assert "neither a file nor a folder" in refused(capsys, "analyse", "keys", folder)
