"""``wrongkey encrypt``, ``decrypt`` and ``encrypt-model`` with a key of windows."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from tests import toys
from tests.wrongkey.test_crypt import wave
from wrongkey.cli import main
from wrongkey.evaluation.models.registry import open_model
from wrongkey.evaluation.windows import windowed
from wrongkey.keys import SecretKey, encrypt_query, lift_model

SOUND = np.random.default_rng(0).normal(0, 0.02, 16_000).astype(np.float32)
MODEL = "tests.toys:overlapping"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    SecretKey.draw("rom+windows", 10).save(tmp_path / "key.npz")
    return tmp_path / "key.npz"


@pytest.fixture
def secret(key: Path, tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "plain.wav", SOUND, 16_000, "FLOAT")
    out = tmp_path / "secret.wav"
    asked = ["encrypt", str(tmp_path / "plain.wav"), "--model", MODEL, "--key", str(key), "-o", str(out)]
    assert main(asked) == 0
    return out


def test_the_windows_are_written_with_their_places_and_decrypted_to_the_speech(key, secret, tmp_path) -> None:
    toy = toys.overlapping()
    segments = toy.segments(toy.front_end(torch.from_numpy(SOUND))).flatten().numpy()
    with soundfile.SoundFile(secret) as file:
        assert file.comment == (
            f"wrongkey windows samples={len(segments)} kernel=10 stride=5 dilation=1 before=0 after=0 "
            f"segment={len(segments)}"
        )
        assert file.frames == (len(segments) - 10) // 5 * 10 + 10
    out = tmp_path / "out.wav"
    assert main(["decrypt", str(secret), "--key", str(key), "-o", str(out)]) == 0
    np.testing.assert_allclose(soundfile.read(out)[0], segments, atol=1e-5)


def test_what_is_written_is_what_the_encrypted_model_reads(key, secret) -> None:
    model = windowed(open_model(MODEL))
    query = model.segments(model.front_end(torch.from_numpy(SOUND)))
    encrypted = encrypt_query(query, SecretKey.load(key))
    np.testing.assert_allclose(soundfile.read(secret)[0], encrypted.flatten().numpy(), atol=1e-5)


@pytest.mark.parametrize(
    "comment",
    [
        "wrongkey windows samples=4800 kernel=10 stride=5 dilation=1 before=0 after=0 segment=0",
        "wrongkey windows samples=4800 kernel=10 stride=0 dilation=1 before=0 after=0 segment=4800",
        "wrongkey windows samples=999999990 kernel=10 stride=5 dilation=1 before=0 after=0 segment=999999990",
        "wrongkey windows samples=4800 kernel=10 stride=5 dilation=1 before=0 after=999999999 segment=4800",
        "wrongkey windows samples=4800 kernel=2 stride=9 dilation=999999999 before=999999999 after=0 segment=48",
        "wrongkey windows samples=3000000 kernel=10 stride=1 dilation=333333 before=0 after=0 segment=3000000",
        "wrongkey windows samples=4801 kernel=10 stride=5 dilation=1 before=0 after=0 segment=4800",
        "wrongkey samples=4800",
        "",
    ],
)
def test_a_comment_that_does_not_fit_is_a_sentence(comment, key, secret, tmp_path, capsys) -> None:
    samples, rate = soundfile.read(secret, dtype="float32")
    with soundfile.SoundFile(secret, "w", rate, 1, "FLOAT") as file:
        if comment:
            file.comment = comment
        file.write(samples)
    assert main(["decrypt", str(secret), "--key", str(key), "-o", str(tmp_path / "out.wav")]) == 2
    said = capsys.readouterr().err
    assert "secret.wav" in said and "windows" in said and not (tmp_path / "out.wav").exists()


def test_a_key_of_windows_needs_a_model_whose_windows_it_fits(key, tmp_path, capsys) -> None:
    plain, out = wave(tmp_path / "plain.wav", SOUND), tmp_path / "out.wav"
    assert main(["encrypt", str(plain), "--key", str(key), "-o", str(out)]) == 2
    assert "encrypts the windows that a model's first layer reads: add --model" in capsys.readouterr().err
    SecretKey.draw("rom+windows", 5).save(tmp_path / "5.npz")
    assert main(["encrypt", str(plain), "--model", MODEL, "--key", str(tmp_path / "5.npz"), "-o", str(out)]) == 2
    assert (
        "windows of 10 samples every 5, and the key is for blocks of 5: draw one of M = 10" in capsys.readouterr().err
    )
    assert not out.exists()


def test_the_encrypted_model_is_not_lifted_and_is_loaded_again(key, tmp_path, capsys) -> None:
    out = tmp_path / "m.safetensors"
    assert main(["encrypt-model", "--model", MODEL, "--key", str(key), "-o", str(out)]) == 0
    said = capsys.readouterr().out
    assert "windows of 10 samples every 5: 2 times the data" in said and "(1.00 times)" in said
    assert "caution" not in said
    with safe_open(out, "pt") as file:
        about = file.metadata()
    assert about["windows"] == "windows of 10 samples every 5"
    plain = open_model(MODEL, folded=False)
    model = windowed(plain)
    network = lift_model(model.network, about["first_layer"], int(about["block_size"]), about["blocks"])
    network.load_state_dict(load_file(out))
    query = torch.randn(6_000)
    asked = encrypt_query(model.segments(query), SecretKey.load(key))
    expected = plain.network(plain.segments(query)[:, None])
    torch.testing.assert_close(network(asked[:, None]), expected, atol=1e-4, rtol=0)
