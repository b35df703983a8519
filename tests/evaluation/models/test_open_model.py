"""Every name of a model that a user can give, opened and swept through the command line; small random weights."""

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from tests.narrow import of_type
from wrongkey.cli import main
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.models.adapters.torchvision_ops import declare_missing_operators
from wrongkey.evaluation.models.offered import BUNDLED
from wrongkey.evaluation.models.protocol import Hypothesis, Recogniser, SceneClassifier
from wrongkey.evaluation.models.registry import open_model
from wrongkey.evaluation.processes.elsewhere import asked_here

RAWNEXT = Path(__file__).parents[2] / "data" / "rawnext_small.npz"
OWN = """
import torch

class Own(torch.nn.Module):
    first_layer = "conv"
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = torch.nn.Conv1d(1, 6, 3, stride=3)
    def embed(self, queries):
        return torch.relu(self.conv(queries[:, None])).mean(-1)

def make():
    return Own().eval()
"""


SEGMENT = 8_748  # of RawNeXt here, a seventh of its own; more than the speech below


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    """Short segments of RawNeXt, and no search for the fastest batch."""
    monkeypatch.setattr("wrongkey.evaluation.models.adapters.rawnext.SEGMENT", SEGMENT)
    monkeypatch.setattr(Experiment, "tune", lambda self, segments=None: self.engine.tune(4))


@pytest.fixture(scope="module")
def speech(tmp_path_factory) -> Path:
    """Lists of two and of four speakers, two utterances of half a second each, and their texts."""
    folder = tmp_path_factory.mktemp("speech")
    rng, lines = np.random.default_rng(0), []
    for number in range(8):
        speaker = "abcd"[number // 2]
        time = np.arange(8_000) / 16_000
        hum = np.sin(2 * np.pi * (150 + 50 * (number // 2)) * time) * np.sin(9 * time) ** 2
        soundfile.write(folder / f"{number}.wav", 0.2 * hum + rng.normal(0, 0.02, len(time)), 16_000)
        lines.append(json.dumps({"path": f"{number}.wav", "text": "yes no", "speaker": speaker}))
    (folder / "two.jsonl").write_text("\n".join(lines[:4]))
    (folder / "four.jsonl").write_text("\n".join(lines))
    return folder


def clips(folder: Path, classes: tuple[str, ...]) -> str:
    """A corpus of one second of noise for each class."""
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        soundfile.write(folder / name / "a.wav", np.random.default_rng(number).normal(0, 0.1, 16_000), 16_000)
    return f"classes:{folder}"


def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """For models that a test changed where they are defined, which no other process sees."""
    monkeypatch.setattr(
        "wrongkey.evaluation.checks.ask_elsewhere", lambda asked, numbers, **_: asked_here(asked, numbers)
    )


def rawnext(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    in_this_process(monkeypatch)
    return [f"rawnext:{RAWNEXT}"]


def bundled_scenes(folder: Path) -> list[str]:
    corpus = clips(folder / "clips", cast(SceneClassifier, open_model("asc-convmixer")).classes[:2])
    return ["asc-convmixer", "--task", "asc", "--corpus", corpus]


def ge2e(folder: Path) -> list[str]:
    from wrongkey.evaluation.models.adapters.ge2e_network import Ge2eTeacher

    torch.manual_seed(0)
    weights = Ge2eTeacher().state_dict()
    for layer in range(3):  # remember short speech while hearing the silence that fills a piece of 1.6 s
        weights[f"lstm.bias_hh_l{layer}"][256:512] = 5.0
    torch.save({"model_state": weights}, folder / "pretrained.pt")
    return [f"ge2e:{folder / 'pretrained.pt'}"]


def xvector(folder: Path, kind: str) -> list[str]:
    pytest.importorskip("transformers")
    from tests.evaluation.models.adapters.test_xvector import saved

    return [f"xvector:{saved(folder, kind)}"]


def whisper(folder: Path) -> list[str]:
    pytest.importorskip("transformers")
    from tests.evaluation.models.adapters.test_whisper import saved

    return [f"whisper:{saved(folder)}", "--task", "asr"]


def ctc(folder: Path) -> list[str]:
    pytest.importorskip("transformers")
    from tests.evaluation.models.adapters.test_ctc import saved

    return [f"ctc:{saved(folder, 'Wav2Vec2')}", "--task", "asr"]


def espnet(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A stand-in for ESPnet's own classes, which are too much to install for a test."""
    from tests.evaluation.models.adapters.test_espnet import speech2text

    in_this_process(monkeypatch)
    made = SimpleNamespace(Speech2Text=lambda **_: speech2text(3))
    monkeypatch.setattr("wrongkey.evaluation.models.adapters.espnet._espnets", lambda name: made)
    for name in ("config.yaml", "valid.acc.ave.pth"):
        (folder / name).touch()
    return [f"espnet:{folder}", "--task", "asr"]


def timm(folder: Path) -> list[str]:
    declare_missing_operators()
    pytest.importorskip("timm")
    from tests.evaluation.models.adapters.test_timm_scenes import CLASSES, CONVMIXER, convmixer, written

    path = written(folder, "convmixer_768_32", convmixer(), CONVMIXER)
    return [f"timm:{path}", "--task", "asc", "--corpus", clips(folder / "clips", tuple(CLASSES))]


def own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    module = f"own_model_beside_{folder.name}"  # another one in each test: modules stay imported
    (folder / f"{module}.py").write_text(OWN)
    monkeypatch.chdir(folder)
    return [f"{module}:make"]


def registered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A model of an installed package."""
    module = f"own_model_of_{folder.name}"
    (folder / f"{module}.py").write_text(OWN)
    about = folder / "own_model-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: own-model\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[wrongkey.models]\nmine = {module}:make\n")
    monkeypatch.syspath_prepend(folder)
    return ["mine"]


def alone(name: str, *_: object) -> list[str]:
    return [name]


# what a user names, and the model with its task and corpus where they are not those of speaker verification
NAMES: dict[str, Callable[[Path, pytest.MonkeyPatch], list[str]]] = {
    **{name: partial(alone, name) for name, (task, _) in BUNDLED.items() if task == "asv"},
    "asr-words": lambda *_: ["asr-words", "--task", "asr"],
    "asc-convmixer": lambda folder, _: bundled_scenes(folder),
    "rawnext": lambda _, monkeypatch: rawnext(monkeypatch),
    "ge2e": lambda folder, _: ge2e(folder),
    "xvector": lambda folder, _: xvector(folder, "Hubert"),
    "xvector, wav2vec 2.0": lambda folder, _: xvector(folder, "Wav2Vec2"),
    "whisper": lambda folder, _: whisper(folder),
    "ctc": lambda folder, _: ctc(folder),
    "espnet": espnet,
    "timm": lambda folder, _: timm(folder),
    "command": lambda *_: [
        "command:od -An -tu1 -j 200 -N 4 {wav}", *"--task asr --variant waveform --block 10".split()
    ],
    "package.module:factory": own,
    "an entry point": registered,
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_two_keys_are_swept_through_the_command_line(name, speech, tmp_path, monkeypatch, capsys):
    given = NAMES[name](tmp_path, monkeypatch)
    corpus = [] if "--corpus" in given else ["--corpus", f"jsonl:{speech / 'two.jsonl'}"]
    run = tmp_path / "run"
    settings = f"--keys 2 --replicates 0 --workers 1 --device cpu --out {run}".split()
    assert main(["sweep", "--model", *given, *corpus, *settings]) == 0, capsys.readouterr().err
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["keys_done"] == 2 and all(check["passed"] for check in manifest["self_checks"])
    table = pd.concat(pd.read_parquet(file) for file in (run / "scores").glob("*.parquet"))
    assert set(table[table.condition == "incorrect"].key_index) == {0, 1}
    if "waveform" not in given:
        assert {"correct", "plain"} <= set(table.condition)
        assert "correct key" in {check["name"] for check in manifest["self_checks"]}


def test_the_wheel_of_resemblyzer_is_swept(speech, tmp_path):
    pytest.importorskip("resemblyzer")
    asked = f"--model ge2e:resemblyzer --corpus jsonl:{speech}/two.jsonl --keys 2 --workers 1 --out {tmp_path / 'run'}"
    assert main(["sweep", *asked.split()]) == 0


def test_rawnext_goes_through_every_command_that_takes_a_model(speech, tmp_path, capsys, monkeypatch):
    in_this_process(monkeypatch)
    key, model = tmp_path / "secret.npz", f"rawnext:{RAWNEXT} --device cpu --workers 1 --keys 2 --scheme rom"
    for command in (
        f"keys draw --scheme rom --block 3 -o {key}",
        f"encrypt {speech / '0.wav'} --model rawnext:{RAWNEXT} --key {key} -o {tmp_path / 'e.wav'}",
        f"encrypt-model --model rawnext:{RAWNEXT} --key {key} -o {tmp_path / 'e.safetensors'}",
        f"attack known-plaintext --model {model} --corpus jsonl:{speech}/four.jsonl --trials 1 --out {tmp_path / 'a'}",
        f"reproduce fig9 --model {model} --corpus jsonl:{speech}/two.jsonl --replicates 0 --out {tmp_path / 'fig9'}",
    ):
        assert main(command.split()) == 0, command + capsys.readouterr().err
    assert soundfile.info(tmp_path / "e.wav").frames == SEGMENT


@pytest.mark.parametrize("place", ["rawnext:~/r.npz", "ge2e:~/pretrained.pt", "xvector:~/x", "timm:~/m/model.toml"])
def test_a_tilde_is_the_home_folder(place, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    match place.partition(":")[0]:
        case "rawnext":
            (tmp_path / "r.npz").write_bytes(RAWNEXT.read_bytes())
        case "ge2e":
            ge2e(tmp_path)
        case "xvector":
            xvector(tmp_path / "x", "Hubert")
        case "timm":
            (tmp_path / "m").mkdir()
            timm(tmp_path / "m")
            toml = tmp_path / "m" / "model.toml"  # with a byte order mark, and weights named from home
            text = toml.read_text().replace('"w.safetensors"', '"~/m/w.safetensors"')
            toml.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert list(open_model(place).network.parameters())


def test_a_tilde_in_a_command_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    script = tmp_path / "asr.py"
    script.write_text("import sys; print(sys.argv[1])")
    model = cast(Recogniser, open_model(f"command:{sys.executable} ~/asr.py ~/settings {{wav}}"))
    assert of_type(Hypothesis, model.transcribe(torch.zeros(1, 10))[0]).text == f"{tmp_path}/settings"
