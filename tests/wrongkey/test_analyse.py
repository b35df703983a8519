"""``wrongkey analyse`` as its users meet it."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from tests.wrongkey.test_cli import refused
from wrongkey.attacks.analyses.base import Findings
from wrongkey.attacks.analyses.leaks.analysis import Leaks
from wrongkey.attacks.analyses.phase.reconstruction import PhaseReconstruction
from wrongkey.attacks.analyses.speech import COLUMNS
from wrongkey.cli import _parse, main
from wrongkey.commands.analyse import _sweep_config
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.corpora import open_corpus

SWEEP = "sweep --model tests.toys:raw3 --corpus bundled --replicates 0 --workers 1 --keys 40".split()


@pytest.fixture(scope="module")
def only(tmp_path_factory):
    """A list of three utterances of each of eight voices."""
    path = tmp_path_factory.mktemp("lists") / "only.txt"
    used = open_corpus("bundled").select(per_speaker=3, speakers=8).utterances
    path.write_text("".join(f"{utterance.id}\n" for utterance in used))
    return str(path)


@pytest.fixture(scope="module")
def run(only, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "rom"
    assert main([*SWEEP, "--only", only, "--out", str(folder)]) == 0
    return folder


def test_a_sweep_is_analysed_and_reported(run, only, tmp_path, capsys):
    assert main(["analyse", "keys", str(run), "--model", "tests.toys:raw3"]) == 0
    said = capsys.readouterr().out
    assert "key" in said and "wrongkey report" in said
    page = tmp_path / "report.html"
    assert main(["report", str(run), "--out", str(page)]) == 0
    assert "Which incorrect keys work" in page.read_text(encoding="utf-8")
    assert main([*SWEEP, "--only", only, "--out", str(run)]) == 0  # the folder can still be continued
    assert main(["ls", str(run.parent)]) == 0


def test_decryption_takes_the_sweep_or_flags(run, only, tmp_path):
    few = ["analyse", "decryption", "--draws", "1", "--device", "cpu"]
    assert main([*few, "--out", str(run), "--trust"]) == 0
    assert (run / "analyses" / "decryption.parquet").is_file()
    named = [*few, "--model", "tests.toys:raw3", "--corpus", "bundled", "--only", only, "--scheme", "flipping"]
    assert main([*named, "--out", str(tmp_path / "flipping")]) == 0
    rows = pd.read_parquet(tmp_path / "flipping" / "analyses" / "decryption.parquet")
    assert rows[rows.kind == "incorrect key"].draw.nunique() == 7  # all there are
    page = tmp_path / "report.html"
    assert main(["report", str(tmp_path / "flipping"), "--out", str(page)]) == 0
    assert "How close a key must be" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("flag", [("--block", 20), ("--seed", 0), ("--same-gender",), ("--precision", "float64")])
def test_decryption_of_a_sweep_has_no_settings_of_its_own(run, capsys, flag):
    said = refused(capsys, "analyse", "decryption", "--out", run, "--trust", *flag)
    assert f"{flag[0]} has no effect on the sweep in {run}" in said


def test_decryption_of_a_sweep_has_the_sweeps_scheme_and_corpus(run, capsys):
    decryption = ("analyse", "decryption", "--out", run, "--trust")
    assert "--scheme flipping is not that of the sweep" in refused(capsys, *decryption, "--scheme", "flipping")
    assert "--corpus elsewhere is not that of the sweep" in refused(capsys, *decryption, "--corpus", "elsewhere")


def test_settings_of_decryption_are_those_of_a_sweep(tmp_path):
    (tmp_path / "x.toml").write_text("model = 'asv-raw3'\ncorpus = 'bundled'\nblock = 5\nsessions = 'disjoint'\n")
    options = _parse(
        ["analyse", "decryption", "--out", "x", "--config", str(tmp_path / "x.toml"), "--precision", "float64"]
    )
    assert _sweep_config(options) == SweepConfig(
        "asv-raw3", "bundled", block=5, sessions="disjoint", precision="float64", replicates=0
    )


@pytest.mark.parametrize("kind", [PhaseReconstruction, Leaks])
def test_analyses_of_speech_get_corpus_and_settings(monkeypatch, tmp_path, kind):
    asked: dict[str, Any] = {}

    def run(self, out, progress):
        asked.update(vars(self), out=out)
        row = ["e", "rom", 3, "tiles", "encrypted", "", "u", "stoi", 0.5]
        table = pd.DataFrame([row], columns=list(COLUMNS))
        return Findings(table, self.about() | {"sentences": [f"{len(table)} of {self.corpus.name}"]})

    monkeypatch.setattr(kind, "run", run)
    flags = ["--corpus", "bundled", "--scheme", "rom,flipping", "--block", "3,8", "--utterances", "4"]
    assert main(["analyse", kind.name, *flags, "--speaker-model", "asv-raw3", "--out", str(tmp_path / "out")]) == 0
    expected = {
        "out": tmp_path / "out",
        "corpus_spec": "bundled",
        "schemes": ["rom", "flipping"],
        "block_sizes": [3, 8],
        "utterances": 4,
        "seed": 0,
        "speaker_model": "asv-raw3",
        "recogniser": None,
    }
    assert {name: asked[name] for name in expected} == expected and asked["corpus"].name == "bundled"
    assert pd.read_parquet(tmp_path / "out" / "analyses" / f"{kind.name}.parquet").value.item() == 0.5
    about = json.loads((tmp_path / "out" / "analyses" / f"{kind.name}.json").read_text())
    assert about["sentences"] == ["1 of bundled"] and about["asked"]["block_sizes"] == [3, 8]


def test_wrong_input_is_one_sentence(tmp_path, capsys):
    out = tmp_path / "out"
    assert "no run folder" in refused(capsys, "analyse", "keys", tmp_path)
    assert "--out" in refused(capsys, "analyse", "decryption", "--model", "tests.toys:raw3", "--corpus", "bundled")
    assert "holds no sweep" in refused(capsys, "analyse", "decryption", "--out", out)
    assert "needs --corpus" in refused(capsys, "analyse", "leaks", "--out", out)
    speech = ["analyse", "leaks", "--corpus", "bundled", "--out", out]
    assert "caesar" in refused(capsys, *speech, "--scheme", "caesar")
    assert "--utterances must be at least 1, not 0" in refused(capsys, *speech, "--utterances", 0)
    assert "three" in refused(capsys, *speech, "--block", "three")
    assert not out.exists()


@pytest.mark.parametrize("analysis", ["phase", "leaks"])
def test_stereo_is_mixed_where_that_is_asked(analysis, tmp_path, capsys):
    rng = np.random.default_rng(0)
    for speaker in ("ann", "bob"):
        (tmp_path / "corpus" / speaker).mkdir(parents=True)
        for number in range(2):
            path = tmp_path / "corpus" / speaker / f"{number}.wav"
            soundfile.write(path, rng.uniform(-0.3, 0.3, (8000, 2)), 16_000)
    corpus = ["--corpus", f"folder:{tmp_path / 'corpus'}", "--scheme", "flipping", "--block", "3", "--utterances", "1"]
    assert main(["analyse", analysis, *corpus, "--out", str(tmp_path / "out")]) == 2
    assert "--channels mix" in capsys.readouterr().err
    assert main(["analyse", analysis, *corpus, "--channels", "mix", "--out", str(tmp_path / "out")]) == 0
