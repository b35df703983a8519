"""``wrongkey keys``, ``encrypt``, ``decrypt`` and ``encrypt-model`` with keys that are seeds."""

import json
import stat
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from tests import toys
from wrongkey.cli import main
from wrongkey.keys import KeyCut, SeedKey, Slots, encrypt_query, encrypt_scheduled_model

SOUND = np.random.default_rng(0).normal(0, 0.2, 8_001).astype(np.float32)


def drawn(path: Path, scheme: str, block: int = 10) -> Path:
    assert main(["keys", "draw", "--scheme", scheme, "--block", str(block), "-o", str(path)]) == 0
    return path


@pytest.fixture
def wave(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "plain.wav", SOUND, 16_000, "FLOAT", format="WAV")
    return tmp_path / "plain.wav"


def encrypt(wave: Path, key: Path, name: str, *more: str) -> Path:
    out = wave.parent / name
    assert main(["encrypt", str(wave), "--key", str(key), "-o", str(out), *more]) == 0
    return out


def comment(path: Path) -> str:
    with soundfile.SoundFile(path) as file:
        return file.comment


def said(capsys) -> str:
    printed = capsys.readouterr()
    return printed.out + printed.err


def test_keys_are_drawn_and_shown(tmp_path, capsys):
    path = drawn(tmp_path / "key.npz", "rom+schedule=0.5+nonce")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    secret = SeedKey.load(path).seed.tobytes().hex()
    assert main(["keys", "show", str(path)]) == 0
    shown = said(capsys)
    assert "of rom, another for every nonce and every 0.5 s of a query" in shown and secret not in shown
    assert main(["keys", "show", str(path), "--matrix", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["seed"], facts["hold_seconds"], facts["nonce"]) == (secret, 0.5, True)
    assert main(["keys", "space", "--scheme", "flipping+nonce", "--block", "10"]) == 0
    assert "about 2^256.0 keys" in (shown := said(capsys)) and "flipping key of 10.0 bits" in shown


def test_a_recording_is_encrypted_under_a_new_nonce_and_decrypted_again(tmp_path, wave, capsys):
    key = drawn(tmp_path / "key.npz", "rom+nonce")
    capsys.readouterr()
    one, two = encrypt(wave, key, "one.wav"), encrypt(wave, key, "two.wav")
    nonce = comment(one).split("nonce=")[1]
    assert len(nonce) == 32 and f"nonce {nonce} (public)" in said(capsys) and nonce not in comment(two)
    expected = encrypt_query(SOUND, SeedKey.load(key).at(nonce))
    np.testing.assert_allclose(soundfile.read(one, dtype="float32")[0], expected, atol=1e-6)
    assert not np.allclose(soundfile.read(one)[0], soundfile.read(two)[0], atol=1e-2)
    out = tmp_path / "out.wav"
    assert main(["decrypt", str(one), "--key", str(key), "-o", str(out)]) == 0
    np.testing.assert_allclose(soundfile.read(out)[0], SOUND, atol=1e-6)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert main(["decrypt", str(one), "--key", str(key), "-o", str(out), "--overwrite", "--nonce", "00"]) == 0
    assert not np.allclose(soundfile.read(out)[0], SOUND, atol=1e-2)


def test_a_given_nonce_gives_the_same_ciphertext(tmp_path, wave):
    key = drawn(tmp_path / "key.safetensors", "flipping+schedule=0.1+nonce", 8)
    one, two = (encrypt(wave, key, f"{name}.wav", "--nonce", digits) for name, digits in (("a", "00FF"), ("b", "00ff")))
    np.testing.assert_array_equal(soundfile.read(one)[0], soundfile.read(two)[0])
    assert "nonce=00ff" in comment(one)


def test_a_schedule_begins_anew_in_every_segment_of_a_model(tmp_path, wave):
    key = drawn(tmp_path / "key.npz", "rom+schedule=0.1", 3)
    secret = encrypt(wave, key, "secret.wav", "--model", "tests.toys:segmented")
    assert "segment=4800" in comment(secret)
    sent = soundfile.read(secret, dtype="float32")[0].reshape(-1, 4_800)
    toy = toys.segmented()
    for segment, plain in zip(sent, toy.segments(toy.front_end(torch.from_numpy(SOUND))), strict=True):
        expected = encrypt_query(plain[1_602:3_201], SeedKey.load(key).at(slot=1))
        np.testing.assert_allclose(segment[1_602:3_201], expected, atol=1e-5)
    out = tmp_path / "out.wav"
    assert main(["decrypt", str(secret), "--key", str(key), "-o", str(out)]) == 0
    plain = toy.segments(toy.front_end(torch.from_numpy(SOUND))).flatten()
    np.testing.assert_allclose(soundfile.read(out)[0], plain, atol=1e-5)


@pytest.mark.parametrize("scheme", ["rom+nonce", "rom+schedule=0.1", "flipping+schedule=0.1+nonce"])
@pytest.mark.parametrize(("model", "block"), [("raw3", 3), ("overlapping", 15)])
def test_an_encrypted_model_is_loaded_again_and_answers(tmp_path, wave, capsys, scheme, model, block):
    key, out = drawn(tmp_path / "key.npz", scheme, block), tmp_path / "model.safetensors"
    nonce = "0123" if "nonce" in scheme else None
    asked = ["encrypt-model", "--model", f"tests.toys:{model}", "--key", str(key), "-o", str(out), "--seconds", "0.5"]
    assert main([*asked, *(["--nonce", nonce] if nonce else [])]) == 0
    assert " ms" in (shown := said(capsys)) and ("5 slots" in shown) == ("schedule" in scheme)
    with safe_open(out, framework="pt") as file:
        about = file.metadata()
    assert about.get("nonce") == nonce and about["scheme"] == scheme
    if "schedule" not in scheme:
        return
    toy = getattr(toys, model)()
    slots = Slots(tuple(map(int, about["starts"].split(","))), int(about["longest"]))
    assert len(slots.starts) == 5
    plain = toy.network
    cut = KeyCut(about["blocks"], int(about["block_size"]))
    network = encrypt_scheduled_model(plain, about["first_layer"], cut, slots)
    network.load_state_dict(load_file(out))
    secret = encrypt(wave, key, "secret.wav", "--model", f"tests.toys:{model}", *(["--nonce", nonce] if nonce else []))
    query = torch.from_numpy(soundfile.read(secret, dtype="float32")[0])[None, None]
    expected = plain(toy.segments(toy.front_end(torch.from_numpy(SOUND)))[:, None])
    torch.testing.assert_close(network(query), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("scheme", "command", "sentence"),
    [
        ("rom+nonce", "decrypt plain.wav -o out.wav", "plain.wav does not say its nonce, which this key needs"),
        ("rom+nonce", "encrypt plain.wav -o out.wav --nonce secret", "is not 1 to 64 bytes in hexadecimal digits"),
        ("rom+schedule=1", "encrypt plain.wav -o out.wav --nonce 00", "takes no nonce: leave --nonce out"),
        ("rom", "encrypt plain.wav -o out.wav --nonce 00", "A key of rom takes no nonce"),
        ("rom", "decrypt plain.wav -o out.wav --nonce 00", "A key of rom takes no nonce"),
        ("rom+nonce", "encrypt-model --model tests.toys:raw10 -o m.safetensors", "has other matrices for every nonce"),
        ("rom+schedule=0.1", "encrypt-model --model tests.toys:raw10 -o m.safetensors --seconds 0", "no length of a"),
        ("rom+schedule=0.1", "encrypt-model --model tests.toys:raw10 -o m.safetensors --seconds 0.2", "longer ones"),
        ("rom+schedule=0.0001", "encrypt plain.wav -o out.wav", "changes the key within a block"),
        ("rom+schedule=1", "decrypt plain.wav -o out.wav", "is not whole blocks of 10"),
    ],
)
def test_bad_input_is_a_sentence(tmp_path, wave, monkeypatch, capsys, scheme, command, sentence):
    monkeypatch.chdir(tmp_path)
    key = drawn(tmp_path / "key.npz", scheme)
    before = sorted(tmp_path.iterdir())
    capsys.readouterr()
    assert main([*command.split(), "--key", str(key)]) == 2
    printed = capsys.readouterr().err
    assert sentence in printed and "Traceback" not in printed
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("scheme", ["rom+schedule=0", "rom+schedule=soon", "rom+schedule=-1", "rom+schedule=nan"])
def test_schedules_that_are_none(tmp_path, capsys, scheme):
    assert main(["keys", "draw", "--scheme", scheme, "--block", "10", "-o", str(tmp_path / "key.npz")]) == 2
    assert "not a positive number of seconds" in capsys.readouterr().err
