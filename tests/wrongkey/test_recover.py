"""``wrongkey recover`` with the files that users and strangers have."""

import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.attacks.test_recover import Says
from wrongkey.attacks import recover
from wrongkey.cli import main
from wrongkey.evaluation.corpora import load_audio, open_corpus
from wrongkey.keys import SecretKey

RATE = 16_000
VOICE = [load_audio(utterance) for utterance in open_corpus("bundled").utterances[:3]]
AS = ["--scheme", "flipping", "--block", "10"]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def wave(path: Path, samples, rate=RATE) -> Path:
    soundfile.write(path, samples, rate, "FLOAT", format="WAV")
    return path


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch) -> list[Path]:
    """Three recordings of a voice under one drawn key, as `wrongkey encrypt` writes them, in the working directory."""
    monkeypatch.chdir(tmp_path)
    assert main(["keys", "draw", *AS, "--seed", "3", "-o", "key.npz"]) == 0
    for number, samples in enumerate(VOICE):
        wave(tmp_path / f"plain{number}.wav", samples)
        assert main(["encrypt", f"plain{number}.wav", "--key", "key.npz", "-o", f"secret{number}.wav"]) == 0
    return [Path(f"secret{number}.wav") for number in range(3)]


def is_voice(path: Path, samples) -> bool:
    heard, rate = soundfile.read(path)
    assert rate == RATE and len(heard) == len(samples)
    return bool(min(abs(heard - samples).max(), abs(heard + samples).max()) < 1e-6)


def test_one_recording_is_decrypted_beside_itself(secrets, capsys):
    assert main(["recover", "secret0.wav", *AS, "--original", "plain0.wav"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert (
        "Success claimed: sign-chain found a flipping key for blocks of 10 samples in 2.5 s of ciphertext." in printed
    )
    assert any("an SNR of 1" in line for line in printed)
    assert printed[-1] == "secret0-recovered.wav"
    assert is_voice(Path(printed[-1]), VOICE[0]) and mode(Path(printed[-1])) == 0o600


def test_a_scheme_may_be_written_as_in_reports(secrets, capsys):
    assert main(["recover", "secret0.wav", "--scheme", "FLIPPING", "--block", "10"]) == 0
    assert "sign-chain found a flipping key" in capsys.readouterr().out


def test_several_recordings_go_into_a_folder_and_the_key_opens_them_too(secrets, capsys):
    files = [str(file) for file in secrets]
    assert main(["recover", *files, *AS, "-o", "out", "--key-out", "found.npz", "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["success_claimed"] and result["ciphertext"] == files and result["key"] == ["found.npz"]
    assert result["plain"] == [f"out/secret{number}-recovered.wav" for number in range(3)]
    assert result["stationarity"]["before"] < 0.5 < 0.9 < result["stationarity"]["after"]
    assert all(is_voice(Path(name), samples) for name, samples in zip(result["plain"], VOICE, strict=True))
    assert mode(Path("found.npz")) == 0o600
    assert main(["decrypt", "secret1.wav", "--key", "found.npz", "-o", "again.wav"]) == 0
    assert is_voice(Path("again.wav"), VOICE[1])


@pytest.fixture
def changing(tmp_path: Path, monkeypatch) -> list[str]:
    """Two recordings of a voice under keys that change every second and with each of them, and the flags to attack."""
    monkeypatch.chdir(tmp_path)
    scheme = ["--scheme", "flipping+schedule=1+nonce", "--block", "6"]
    assert main(["keys", "draw", *scheme, "--seed", "3", "-o", "key.npz"]) == 0
    for number, samples in enumerate(VOICE[:2]):
        wave(tmp_path / f"plain{number}.wav", samples)
        nonce = ["--nonce", f"{number:032x}"]  # a random one draws keys that are found in most tests and not in all
        assert main(["encrypt", f"plain{number}.wav", "--key", "key.npz", *nonce, "-o", f"secret{number}.wav"]) == 0
    return ["recover", "secret0.wav", "secret1.wav", *scheme, "-o", "out"]


def test_keys_that_change_are_attacked_one_by_one(changing, capsys):
    assert main([*changing, "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    first = result["parts"][0]
    assert first["success_claimed"] and first["attack"] == "sign-chain"
    assert first["pieces"] == [{"file": "secret0.wav", "begin": 0, "end": pytest.approx(1, abs=0.001)}]
    assert {part["pieces"][0]["file"] for part in result["parts"]} == {"secret0.wav", "secret1.wav"}
    heard, _ = soundfile.read(result["plain"][0])
    assert len(heard) == len(VOICE[0])
    assert min(abs(heard[:RATE] - sign * VOICE[0][:RATE]).max() for sign in (1, -1)) < 1e-6


def test_parts_are_listed_and_figures_drawn(changing, capsys):
    assert main([*changing, "--figures", "figures", "--anyway"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Success claimed: ") and "flipping+schedule=1+nonce keys for blocks of 6" in printed
    assert "secret0.wav, 0.0 to 1.0 s: found by sign-chain in" in printed
    assert sorted(os.listdir("figures")) == ["secret0-spectrograms.png", "secret1-spectrograms.png"]


def test_a_seed_that_attacks_do_not_find_is_not_promised(changing, capsys):
    assert main([*changing, "--key-out", "found.npz"]) == 2
    assert "is a seed" in capsys.readouterr().err and not Path("out").exists()


def test_without_success_nothing_is_written_unless_asked(secrets, capsys):
    before = sorted(os.listdir())
    wrong = ["recover", "secret0.wav", "--scheme", "flipping", "--block", "7", "--key-out", "found.npz"]
    assert main(wrong) == 1
    printed = capsys.readouterr()
    assert printed.out.startswith("No success claimed: ") and "--anyway writes the best guess" in printed.out
    assert "not whole blocks of 7" in printed.err
    assert sorted(os.listdir()) == before
    assert main([*wrong, "--anyway"]) == 1
    assert "most likely wrong" in capsys.readouterr().out
    assert sorted({*os.listdir()} - {*before}) == ["found.npz", "secret0-recovered.wav"]


def test_plain_speech_is_not_taken_for_ciphertext(secrets, capsys):
    assert main(["recover", "plain0.wav", *AS, "--json"]) == 1
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert not result["success_claimed"] and "not encrypted" in result["evidence"][0] and result["plain"] == []


def test_the_block_size_may_be_left_out(secrets, capsys):
    assert main(["recover", "secret0.wav", "--scheme", "flipping", "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["block_size"] == result["period"] == 10 and result["block_from_ciphertext"]
    assert [(one["attack"], one["success_claimed"]) for one in result["attempts"]] == [("sign-chain", True)]
    assert any("The block size is from the ciphertext" in sentence for sentence in result["evidence"])


def test_windows_are_joined_as_the_file_says(tmp_path, monkeypatch, capsys):
    """Under an attack that knows the key: whether windows of a file reach it, and come back as the speech."""
    monkeypatch.chdir(tmp_path)
    key = SecretKey.from_seed("rom+windows", 10, seed=1)
    key.save(tmp_path / "key.npz")
    wave(tmp_path / "plain.wav", VOICE[0])
    assert main(["encrypt", "plain.wav", "--model", "tests.toys:overlapping", "--key", "key.npz", "-o", "s.wav"]) == 0
    monkeypatch.setattr(recover, "ON_WINDOWS", (lambda: Says("shared", key.matrix, step=5.0),))
    assert main(["recover", "s.wav", "--scheme", "rom+windows"]) == 0
    assert "Windows of 10 samples, one every 5, differ by 0" in capsys.readouterr().out  # 10 is in the file's comment
    assert main(["decrypt", "s.wav", "--key", "key.npz", "-o", "d.wav"]) == 0
    np.testing.assert_allclose(soundfile.read("s-recovered.wav")[0], soundfile.read("d.wav")[0], atol=1e-6)


def test_spectrograms_and_the_evidence_are_drawn(secrets, tmp_path, capsys):
    (tmp_path / "other").mkdir()
    os.rename("secret1.wav", "other/secret0.wav")
    assert main(["recover", "secret0.wav", "other/secret0.wav", *AS, "--figures", "figures"]) == 0
    names = ["evidence.png", "secret0-0-spectrograms.png", "secret0-1-spectrograms.png"]
    assert sorted(os.listdir("figures")) == names
    for name in names:
        assert Path("figures", name).read_bytes().startswith(b"\x89PNG") and mode(Path("figures", name)) == 0o600
    assert Path("other/secret0-recovered.wav").exists()


def test_a_folder_for_the_key_is_made_and_figures_are_not_replaced_unasked(secrets, capsys):
    command = ["recover", "secret0.wav", *AS, "-o", "new/out.wav", "--key-out", "keys/found.npz"]
    assert main(command) == 0 and mode(Path("keys/found.npz")) == 0o600
    Path("drawn").mkdir()
    Path("drawn/evidence.png").write_text("mine")
    again = ["recover", "secret0.wav", *AS, "-o", "again.wav", "--figures", "drawn"]
    assert main(again) == 2 and "drawn/evidence.png exists" in capsys.readouterr().err
    assert not Path("again.wav").exists() and Path("drawn/evidence.png").read_text() == "mine"
    assert main([*again, "--overwrite"]) == 0 and Path("drawn/evidence.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_in_the_way_stays(secrets, capsys):
    Path("out.wav").write_text("mine")
    command = ["recover", "secret0.wav", *AS, "-o", "out.wav"]
    assert main(command) == 2 and "out.wav exists" in capsys.readouterr().err
    assert Path("out.wav").read_text() == "mine"
    assert main([*command, "--overwrite"]) == 0
    assert is_voice(Path("out.wav"), VOICE[0])
    again = ["recover", "secret0.wav", *AS, "-o", "secret0.wav", "--overwrite"]
    assert main(again) == 2 and "its own decryption" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["text.wav", *AS], "text.wav is not readable audio"),
        (["missing.wav", *AS], "missing.wav is not a file"),
        (["silent.wav", *AS], "silent.wav is silent"),
        (["short.wav", *AS], "no block of 10 samples"),
        (["plain0.wav", "--scheme", "flipping"], "show no blocks of 2 to 128 samples"),
        (["noise.wav", "--scheme", "rom"], "show no blocks of 2 to 128 samples"),
        (["short.wav", "--scheme", "rom"], "show no blocks of 2 to 128 samples"),
        (["secret0.wav", "--scheme", "rom+windows+nonce", "--block", "10"], "windows whose key changes"),
        (["stereo.wav", *AS], "2 channels"),
        (["secret0.wav", "slow.wav", *AS], "slow.wav has 8000 Hz and secret0.wav has 16000 Hz"),
        (["secret0.wav", "--scheme", "rom", "--block", "1"], "blocks of 2 to 128"),
        (["secret0.wav", "--scheme", "nothing", "--block", "10"], "no scheme 'nothing'"),
        (["secret0.wav", *AS, "-o", "out.mp3"], "the ending .wav"),
        (["secret0.wav", "secret1.wav", *AS, "-o", "out.wav"], "give -o a folder"),
        (["secret0.wav", "./secret0.wav", *AS], "give each once"),
        (["secret0.wav", *AS, "--key-out", "key.txt"], "ends in .npz"),
        (["secret0.wav", *AS, "--key-out", "key.npz"], "key.npz exists"),
        (["secret0.wav", *AS, "--figures", "text.wav"], "text.wav is a file"),
        (["secret0.wav", *AS, "--original", "slow.wav"], "slow.wav has another rate"),
        (["secret0.wav", "secret1.wav", *AS, "--original", "plain0.wav"], "several are given"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(secrets, capsys, arguments, said):
    noise = np.random.default_rng(0).normal(0, 0.1, 32_000)
    Path("text.wav").write_text("words")
    for name, samples, rate in (
        ("silent.wav", np.zeros(RATE), RATE),
        ("short.wav", noise[:9], RATE),
        ("noise.wav", noise, RATE),
        ("stereo.wav", noise.reshape(-1, 2), RATE),
        ("slow.wav", noise, 8_000),
    ):
        wave(Path(name), samples, rate)
    before = sorted(os.listdir())
    assert main(["recover", *arguments]) == 2
    printed = capsys.readouterr()
    assert said in printed.err and "Traceback" not in printed.err
    assert sorted(os.listdir()) == before


def test_stereo_is_mixed_as_for_encrypt(secrets, capsys):
    samples, rate = soundfile.read("secret0.wav")
    wave(Path("stereo.wav"), np.stack([samples, samples], axis=1), rate)
    assert main(["recover", "stereo.wav", *AS, "--channels", "mix"]) == 0


def test_an_invertible_key_with_secret_signs_is_found_and_written_so_that_it_decrypts(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    wave(tmp_path / "plain.wav", np.concatenate(VOICE))
    scheme = ["--scheme", "invertible+signs=2", "--block", "3"]
    assert main(["keys", "draw", *scheme, "--seed", "3", "-o", "key.npz"]) == 0
    assert main(["encrypt", "plain.wav", "--key", "key.npz", "-o", "secret.wav"]) == 0
    assert main(["recover", "secret.wav", *scheme, "--key-out", "found.npz", "-o", "heard.wav"]) == 0
    assert "block-pattern found an invertible+signs=2 key" in capsys.readouterr().out
    assert main(["decrypt", "secret.wav", "--key", "found.npz", "-o", "again.wav"]) == 0
    heard, again, plain = (soundfile.read(name)[0] for name in ("heard.wav", "again.wav", "plain.wav"))
    np.testing.assert_allclose(heard, again, atol=1e-5)
    assert min(np.linalg.norm(heard - plain), np.linalg.norm(heard + plain)) < 0.1 * np.linalg.norm(plain)
