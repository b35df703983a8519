"""Sound files are written whole or not at all: a signal or a full disk in between is not dropped by libsndfile."""

import argparse
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tests.interrupted import Interrupted
from wrongkey.attacks.analyses.phase.gabor import Lattice, TorchGabor
from wrongkey.attacks.analyses.phase.media import write_media
from wrongkey.commands import crypt, recovered_files
from wrongkey.encoded_audio import encoded_wav
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import Utterance, word_sequences
from wrongkey.evaluation.models.adapters.command import load_command
from wrongkey.evaluation.run_folder.media import opus
from wrongkey.reports.player import _mp3
from wrongkey.stops import Stopped, stop_on_signals

NOISE = np.random.default_rng(0).uniform(-0.1, 0.1, 16_000)
ENOUGH = 9_000  # bytes: for a header, and for less than any of these recordings


def encrypt(out: Path) -> None:
    crypt._write(argparse.Namespace(out=out / "speech.wav"), NOISE, 16_000)


def recover(out: Path) -> None:
    recovered_files.write_wavs([out / "speech.wav"], [NOISE], 16_000)


def analyse_phase(out: Path) -> None:
    write_media(out, Utterance("u", "s", Path("u.wav")), torch.from_numpy(NOISE), {}, TorchGabor(Lattice()))


def recognise_elsewhere(out: Path) -> None:
    load_command("true {wav}").transcribe(torch.from_numpy(NOISE)[None])


def write_words(out: Path) -> None:
    word_sequences.main(["--speech-commands", "", "--sequences", "1", "--out", str(out)])


def test_a_file_holds_the_samples_beyond_full_scale_and_the_comment(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(encoded_wav(40 * NOISE, 8_000, comment="wrongkey samples=16000"))
    with soundfile.SoundFile(path) as file:
        assert (file.samplerate, file.channels, file.subtype) == (8_000, 1, "FLOAT")
        assert file.comment == "wrongkey samples=16000"
        np.testing.assert_array_equal(file.read(dtype="float32"), (40 * NOISE).astype(np.float32))


@pytest.mark.usefixtures("once")
@pytest.mark.parametrize("encode", [encoded_wav, opus, _mp3])
def test_a_clip_is_whole_before_a_command_stops(encode: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by benchmarks.faults: the clip lacked what was being written, and the command went on."""
    size = len(encode(NOISE, 16_000))
    monkeypatch.setattr("wrongkey.encoded_audio.BytesIO", Interrupted)
    with stop_on_signals(last=False), pytest.raises(Stopped):
        encode(NOISE, 16_000)
    assert len(Interrupted.last.getvalue()) == size > 1000


@pytest.mark.usefixtures("once")
@pytest.mark.parametrize("write", [encrypt, recover, analyse_phase, recognise_elsewhere])
def test_no_recording_is_published_whose_writing_was_stopped(
    write: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("wrongkey.encoded_audio.BytesIO", Interrupted)
    with stop_on_signals(last=False), pytest.raises(Stopped):
        write(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("write", [encrypt, recover, analyse_phase, recognise_elsewhere, write_words])
def test_a_full_disk_is_one_sentence(
    write: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A traceback before: libsndfile dropped the error of the disk, and soundfile's assertion failed."""
    wave = NOISE.astype(np.float32)
    word = word_sequences.Word("YES", "s", wave, wave)
    monkeypatch.setattr(word_sequences, "read_words", lambda *asked: {"s": [word] * word_sequences.MOST})
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (ENOUGH, hard))
        try:
            write(tmp_path)
            said = capsys.readouterr().err  # of a program
        except BadInput as error:
            said = str(error)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "cannot be written (File too large): " in said
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".wav", ".flac")]
