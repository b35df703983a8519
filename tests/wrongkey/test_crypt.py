"""``wrongkey encrypt``, ``decrypt`` and ``keys`` with the files that users and strangers have."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest
import soundfile

from wrongkey.cli import main
from wrongkey.keys import SecretKey

SOUND = np.random.default_rng(0).normal(0, 0.2, 8_000).astype(np.float32)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    assert main(["keys", "draw", "--scheme", "rom", "--block", "10", "-o", str(tmp_path / "key.npz")]) == 0
    return tmp_path / "key.npz"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def wave(path: Path, samples: np.ndarray = SOUND) -> Path:
    soundfile.write(path, samples, 8_000, "FLOAT", format="WAV")
    return path


def test_decrypted_speech_is_private(key, tmp_path):
    plain, secret, out = wave(tmp_path / "plain.wav"), tmp_path / "secret.wav", tmp_path / "out.wav"
    before = os.umask(0o022)
    try:
        assert main(["encrypt", str(plain), "--key", str(key), "-o", str(secret)]) == 0
        out.write_text("old")
        assert main(["decrypt", str(secret), "--key", str(key), "-o", str(out), "--overwrite"]) == 0
    finally:
        os.umask(before)
    assert mode(out) == 0o600 and mode(secret) == 0o644
    np.testing.assert_allclose(soundfile.read(out)[0], SOUND, atol=1e-6)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["key.npz", "out.wav", "plain.wav", "secret.wav"]


def test_a_link_is_replaced_when_asked_and_not_written_through(key, tmp_path, capsys):
    plain = wave(tmp_path / "plain.wav")
    (tmp_path / "target").write_text("kept")
    for place in ("target", "nowhere"):
        link = tmp_path / f"{place}.wav"
        link.symlink_to(tmp_path / place)
        command = ["decrypt", str(plain), "--key", str(key), "-o", str(link)]
        assert main(command) == 2 and "exists" in capsys.readouterr().err
        assert main([*command, "--overwrite"]) == 0
        assert not link.is_symlink() and mode(link) == 0o600
    assert (tmp_path / "target").read_text() == "kept" and not (tmp_path / "nowhere").exists()


def test_a_failed_write_leaves_nothing_behind(key, tmp_path, monkeypatch, capsys):
    plain = wave(tmp_path / "plain.wav")
    before = sorted(tmp_path.iterdir())

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("wrongkey.files.os.fsync", full)
    assert main(["encrypt", str(plain), "--key", str(key), "-o", str(tmp_path / "out.wav")]) == 2
    assert "out.wav cannot be written" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


def test_the_home_folder_is_known_in_every_path(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    wave(tmp_path / "plain.wav")
    assert main(["keys", "draw", "--scheme", "flipping", "--block", "4", "-o", "~/key.safetensors"]) == 0
    assert main(["keys", "show", "~/key.safetensors"]) == 0
    assert main(["encrypt", "~/plain.wav", "--key", "~/key.safetensors", "-o", "~/secret.wav"]) == 0
    assert main(["decrypt", "~/secret.wav", "--key", "~/key.safetensors", "-o", "~/out.wav"]) == 0
    np.testing.assert_allclose(soundfile.read(tmp_path / "out.wav")[0], SOUND, atol=1e-6)
    assert main(["keys", "show", "~nobody-of-this-name/key.npz"]) == 2
    assert "there is no such key file" in capsys.readouterr().err


def test_names_that_are_no_text(key, tmp_path, capsys):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/Ren\xe9.wav")
    wave(tmp_path / "plain.wav").rename(path)
    out = path.replace("Ren", "out")
    assert main(["encrypt", path, "--key", str(key), "-o", out]) == 0
    assert main(["decrypt", out, "--key", str(key), "-o", path, "--overwrite"]) == 0
    assert main(["decrypt", out, "--key", str(key), "-o", path]) == 2
    printed = capsys.readouterr()
    assert "out\\xe9.wav: 8000 samples" in printed.out and "Ren\\xe9.wav exists" in printed.err


def test_speech_under_a_wrong_header_is_decrypted_whole(key, tmp_path):
    secret, out = tmp_path / "secret.wav", tmp_path / "out.wav"
    assert main(["encrypt", str(wave(tmp_path / "plain.wav")), "--key", str(key), "-o", str(secret)]) == 0
    content = bytearray(secret.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = bytes(4)  # a size that was left open
    secret.write_bytes(content)
    assert main(["decrypt", str(secret), "--key", str(key), "-o", str(out)]) == 0
    np.testing.assert_allclose(soundfile.read(out)[0], SOUND, atol=1e-6)


def test_a_comment_of_any_length_is_harmless(key, tmp_path):
    for digits, expected in (("9" * 5000, 8_000), ("17", 17)):
        with soundfile.SoundFile(tmp_path / "in.wav", "w", 8_000, 1, "FLOAT") as file:
            file.comment = f"wrongkey samples={digits}"
            file.write(SOUND)
        out = tmp_path / "out.wav"
        assert main(["decrypt", str(tmp_path / "in.wav"), "--key", str(key), "-o", str(out), "--overwrite"]) == 0
        assert len(soundfile.read(out)[0]) == expected


def test_a_model_that_fails_is_a_sentence(tmp_path, capsys):
    key = tmp_path / "key.npz"
    assert main(f"keys draw --scheme rom --block 3 -o {key}".split()) == 0
    capsys.readouterr()
    asked = f"encrypt-model --model tests.faulty:of_a_broken_front_end --key {key} -o {tmp_path / 'm.safetensors'}"
    assert main(asked.split()) == 2
    assert "of_a_broken_front_end fails (ZeroDivisionError: no frames)" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [key]


def test_speech_is_prepared_as_the_scheme_of_the_key_says(tmp_path):
    plain, key = wave(tmp_path / "plain.wav"), tmp_path / "noise.npz"
    SecretKey.draw("rom+noise=20", 8).save(key)
    for number in (1, 2):
        sent, heard = (str(tmp_path / f"{letter}{number}.wav") for letter in "ed")
        assert main(["encrypt", str(plain), "--key", str(key), "-o", sent]) == 0
        assert main(["decrypt", sent, "--key", str(key), "-o", heard]) == 0
    one, other = (soundfile.read(tmp_path / f"d{number}.wav")[0] for number in (1, 2))
    noise = one - SOUND
    assert 10 * np.log10((SOUND**2).mean() / (noise**2).mean()) == pytest.approx(20, abs=1)
    assert abs(np.corrcoef(noise, other - SOUND)[0, 1]) < 0.2, "nobody can draw the noise again"
