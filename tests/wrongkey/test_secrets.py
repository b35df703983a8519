"""No artefact of a full run holds a secret key: in text or binary, whole or packed, except the key's own file."""

import base64
import gzip
import json
import stat
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import rc_context
from matplotlib.figure import Figure
from safetensors.torch import save_file

from tests.needles import Needles, files_with
from tests.tiny_board import PROTOCOL
from tests.view.conftest import client
from wrongkey.attacks.harness.salt import Salt, TrialSecrets
from wrongkey.cli import main
from wrongkey.evaluation.corpora import open_corpus
from wrongkey.keys import SecretKey, SeedKey, correct_key, draw_keys
from wrongkey.view.load import load

ROM, SHUFFLING = draw_keys("rom", 10, 41, 0, 1)[0], draw_keys("shuffling", 10, 41, 0, 1)[0]
FLIPPING = draw_keys("flipping", 40, 41, 0, 1)[0]
NONCE = "a7c3"
SMALL = "--corpus bundled --per-speaker 2 --device cpu --replicates 0 --keep-outputs --workers 1".split()


def parquet(path: Path, key: np.ndarray) -> None:
    pd.DataFrame({"state": list(key)}).to_parquet(path)


def page(path: Path, key: np.ndarray) -> None:
    path.write_bytes(b"<audio src='data:audio/ogg;base64," + base64.b64encode(key.astype("<f4").tobytes()) + b"'>")


def pdf(path: Path, key: np.ndarray) -> None:
    figure = Figure()
    figure.text(0.1, 0.5, str(key.ravel()[:3].tolist()))
    with rc_context({"pdf.fonttype": 42}):
        figure.savefig(path, format="pdf")


WRITERS = {
    "f4": lambda path, key: path.write_bytes(b"123" + key.astype("<f4").tobytes()),
    "big-endian f8": lambda path, key: path.write_bytes(key.astype(">f8").tobytes()),
    "transposed": lambda path, key: path.write_bytes(np.ascontiguousarray(key.T).tobytes()),
    "f2": lambda path, key: path.write_bytes(key.astype("<f2").tobytes()),
    "npz": lambda path, key: np.savez_compressed(path.with_suffix(".npz"), key=key),
    "safetensors": lambda path, key: save_file({"key": torch.from_numpy(key.copy())}, path),
    "gzip": lambda path, key: path.write_bytes(gzip.compress(key.tobytes())),
    "parquet": parquet,
    "page": page,
    "pdf": pdf,
    "repr": lambda path, key: path.write_text(repr(key.tolist())),
    "json": lambda path, key: path.write_text(json.dumps(key.tolist(), indent=1)),
    "numpy": lambda path, key: path.write_text(str(key)),
    "torch": lambda path, key: path.write_text(str(torch.from_numpy(key))),
    "%.5f": lambda path, key: np.savetxt(path, key, fmt="%.5f", delimiter=","),
    "%.4e": lambda path, key: np.savetxt(path, key, fmt="%.4e"),
}


@pytest.mark.parametrize("form", WRITERS)
def test_a_key_would_be_found(form, tmp_path):
    WRITERS[form](tmp_path / "file", ROM)
    assert files_with(Needles(ROM), tmp_path)
    assert not files_with(Needles(draw_keys("rom", 10, 42, 0, 1)[0]), tmp_path)


@pytest.mark.parametrize("kind", ["i1", ">i4", "<i8", "<f4", "text"])
def test_an_order_would_be_found(kind, tmp_path):
    order = SHUFFLING.argmax(0)
    whole = SHUFFLING if kind == "<f4" else order
    content = str(order.tolist()).encode() if kind == "text" else whole.astype(kind).tobytes()
    (tmp_path / "file").write_bytes(content)
    assert files_with(Needles(SHUFFLING), tmp_path) == {"file"}


@pytest.mark.parametrize("kind", ["i1", "bool", "<f8", "list", "floats"])
def test_signs_would_be_found(kind, tmp_path):
    signs = np.diagonal(FLIPPING)
    texts = {"list": str(signs.astype(int).tolist()), "floats": str(signs.tolist())}
    binary = signs < 0 if kind == "bool" else signs
    (tmp_path / "file").write_bytes(texts[kind].encode() if kind in texts else binary.astype(kind).tobytes())
    assert files_with(Needles(FLIPPING), tmp_path) == {"file"}
    assert not files_with(Needles(-FLIPPING), tmp_path) or kind == "bool"


@pytest.fixture(scope="module")
def victims():
    """Keys and salts of the victims of attacks, noted as they are drawn."""
    keys: list[np.ndarray] = []
    salts: set[bytes] = set()
    of, drawn = Salt.of, TrialSecrets.key

    def told(salt, *trial):
        salts.add(salt.secret)
        return of(salt, *trial)

    def noted(secrets, *what):
        keys.append(drawn(secrets, *what))
        return keys[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Salt, "of", told)
        patch.setattr(TrialSecrets, "key", noted)
        yield keys, salts


@pytest.fixture(scope="module")
def full_run(tmp_path_factory, victims):
    """A folder with all that a user makes, with what was printed, and with what was left for temporary use."""
    place = tmp_path_factory.mktemp("full")
    (place / "tmp").mkdir()
    (place / "tiny.toml").write_text(PROTOCOL)
    recording = open_corpus("bundled").utterances[0].path
    commands = [
        "keys draw --scheme rom --block 3 --out secret.npz",
        "keys draw --scheme shuffling --block 10 --out order.safetensors",
        "keys draw --scheme flipping --block 40 --out signs.npz",
        "keys draw --scheme invertible --block 5 --out invertible.npz",
        "keys draw --scheme rom+nonce --block 4 --out seed.npz",
        "keys show secret.npz",
        "keys show seed.npz --json",
        "keys show order.safetensors --json",
        f"encrypt {recording} --key secret.npz --out encrypted.wav",
        f"encrypt {recording} --key order.safetensors --out shuffled.wav",
        "decrypt encrypted.wav --key secret.npz --out decrypted.wav",
        "encrypt-model --model asv-raw3 --key secret.npz --out model.safetensors",
        "encrypt-model --model asv-raw10 --key order.safetensors --out shuffled.safetensors",
        *(f"encrypt {recording} --key {name}.npz --out {name}.wav" for name in ("signs", "invertible")),
        f"encrypt {recording} --key seed.npz --nonce {NONCE} --out seed.wav",
        *(f"decrypt {name}.wav --key {name}.npz --out {name}-plain.wav" for name in ("signs", "invertible", "seed")),
        f"encrypt {recording} --key model.safetensors --out x.wav",  # refused, as the next ones are
        "decrypt secret.npz --key seed.npz --out x.wav",
        "decrypt seed.wav --key invertible.npz --out x.wav",
        "encrypt-model --model asv-raw10 --key signs.npz --out x.wav",
        "sweep --model tests.toys:raw3 --keys 40 --out run",
        "attack known-plaintext --scheme rom --trials 2 --keys 4 --seconds 1 --corpus bundled --block 3 "
        "--workers 1 --out attacks",
        "strength --model tests.toys:raw3 --within 5 --population 50 --repetitions 1 --moves 2 --out run",
        "analyse keys run --trust",
        "rerun run --trust --workers 1",
        "rerun attacks --workers 1",
        "compare run run-rerun",
        "recover shuffled.wav --scheme shuffling --block 10 --out recovered.wav --key-out found.npz",
        "report run attacks --out report.html --format html,json,pdf,md,tex --table report.csv",
        "sweep --model tests.toys:raw3 --keys 4 --recordings real --media real --out heard",
        "report heard --media real --out heard.html",
        "board --protocol tiny.toml --corpus bundled --workers 1 --out board",
        "analyse leaks --corpus bundled --utterances 2 --scheme rom --block 3 --out leaks",
        "analyse phase --corpus bundled --utterances 2 --scheme rom --block 8 --out phase",
        "ls .",
        "ls . --json",
    ]
    with pytest.MonkeyPatch.context() as patch, (place / "printed.txt").open("w") as printed:
        patch.chdir(place)
        patch.setenv("TMPDIR", str(place / "tmp"))
        patch.setattr("tempfile.tempdir", None)
        patch.setattr("sys.stdout", printed)
        patch.setattr("sys.stderr", printed)
        for command in commands:
            more = SMALL if command.startswith(("sweep", "strength")) else []
            code = main([*command.split(), *more])
            allowed = (2,) if "x.wav" in command else (0, 1, 3) if command.startswith("compare") else (0,)
            assert code in allowed, (command, (place / "printed.txt").read_text()[-500:])
    keep_answers(place)
    return place


def keep_answers(place: Path) -> None:
    """Keep what `wrongkey view --media real` answers about the first key of a run that kept clips."""
    browser = client(load([place / "heard"], real=True))
    asked = ["/", "/view.js", "/key/heard/0"]
    asked += [f"/sound/heard/0/{use}.{kind}" for use in ("encrypt", "decrypt") for kind in ("opus", "png")]
    (place / "answers").mkdir()
    for number, path in enumerate(asked):
        answer = browser.get(path)
        assert answer.status_code == 200, (path, answer.text)
        (place / "answers" / str(number)).write_bytes(answer.content)


def test_a_users_keys_are_in_their_files_alone(full_run):
    for name in ("secret.npz", "order.safetensors", "signs.npz", "invertible.npz"):
        key = SecretKey.load(full_run / name)
        found = {"found.npz"} if name == "order.safetensors" else set()  # the file that `recover --key-out` names
        assert files_with(Needles(np.asarray(key.matrix)), full_run) == {name} | found
        assert all(stat.S_IMODE((full_run / one).stat().st_mode) == 0o600 for one in {name} | found)


def test_a_seed_and_the_matrix_of_a_nonce_are_in_the_key_file_alone(full_run):
    key = SeedKey.load(full_run / "seed.npz")
    forms = [key.seed.astype(kind).tobytes() for kind in ("<u8", ">u8")]
    forms += [form.hex().encode() for form in forms] + [str(int(word)).encode() for word in key.seed]
    files = [path for path in full_run.rglob("*") if path.is_file()]
    assert {path.name for path in files for form in forms if form in path.read_bytes()} <= {"seed.npz"}
    assert stat.S_IMODE((full_run / "seed.npz").stat().st_mode) == 0o600
    assert not files_with(Needles(np.asarray(key.at(nonce=NONCE).matrix)), full_run)


@pytest.mark.parametrize("block", [3, 8])
def test_the_correct_key_of_sweeps_and_analyses_is_in_no_file(full_run, block):
    """Although anybody can draw it again who knows the seed."""
    assert not files_with(Needles(correct_key("rom", block, 0)), full_run)


def test_victims_keys_and_their_salt_are_in_no_file_but_its_own(full_run, victims):
    keys, salts = victims
    assert len(keys) >= 4 and len(salts) == 2  # of the attacks, made again too, and of the board
    for key in {key.tobytes(): key for key in keys}.values():
        assert not files_with(Needles(key), full_run)
    files = [path for path in full_run.rglob("*") if path.is_file()]
    for salt in salts:
        holding = [path for path in files if salt in path.read_bytes() or salt.hex().encode() in path.read_bytes()]
        assert holding and {path.name for path in holding} == {"salt.json"}
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in holding)


def test_nothing_is_left_for_temporary_use(full_run):
    assert not list((full_run / "tmp").rglob("*.npz")) and not list(full_run.rglob(".*.part"))
