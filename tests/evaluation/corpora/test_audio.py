import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import Utterance, duration, load_audio, open_corpus, total_seconds
from wrongkey.evaluation.corpora.audio import sample_rate

SPEECHLIKE = 0.3 * np.sin(np.arange(16000) * 2 * np.pi * 440 / 16000) * np.hanning(16000)


@pytest.mark.parametrize(
    ("name", "subtype", "tolerance"),
    [
        ("a.wav", "PCM_16", 1 / 2**15),
        ("a.wav", "FLOAT", 1e-7),
        ("a.flac", "PCM_16", 1 / 2**15),
        ("a.ogg", "VORBIS", 0.05),
        ("a.ogg", "OPUS", 0.05),
    ],
)
def test_formats(tmp_path: Path, name: str, subtype: str, tolerance: float) -> None:
    soundfile.write(tmp_path / name, SPEECHLIKE, 16000, subtype=subtype)
    samples = load_audio(tmp_path / name)
    assert samples.dtype == np.float32 and samples.shape == (16000,)
    np.testing.assert_allclose(samples, SPEECHLIKE, atol=tolerance)
    assert duration(tmp_path / name) == 1.0
    np.testing.assert_array_equal(load_audio(str(tmp_path / name)), samples)


def tone(rate: int) -> NDArray[np.float64]:
    return np.asarray(0.5 * np.sin(2 * np.pi * 1000 * np.arange(rate) / rate))


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
def test_resampling_keeps_a_tone(tmp_path: Path, rate: int) -> None:
    """The oracle is the same tone computed at 16 kHz; the ends, where the filter runs in, are left out."""
    soundfile.write(tmp_path / "a.wav", tone(rate), rate, subtype="FLOAT")
    samples = load_audio(tmp_path / "a.wav")
    assert samples.shape == (16000,)
    np.testing.assert_allclose(samples[1000:-1000], tone(16000)[1000:-1000], atol=2e-3)


def test_resampling_removes_what_16_khz_cannot_hold(tmp_path: Path) -> None:
    above = 0.5 * np.sin(2 * np.pi * 12000 * np.arange(48000) / 48000)
    soundfile.write(tmp_path / "a.wav", above, 48000, subtype="FLOAT")
    assert np.abs(load_audio(tmp_path / "a.wav")[1000:-1000]).max() < 0.5 * 10 ** (-50 / 20)
    np.testing.assert_allclose(load_audio(tmp_path / "a.wav", sample_rate=48000), above, atol=1e-6)


def test_loudness_is_kept(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", 3 * SPEECHLIKE / 0.3, 16000, subtype="FLOAT")
    assert np.abs(load_audio(tmp_path / "a.wav")).max() == pytest.approx(3, rel=1e-3)


def test_stereo(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.stack([SPEECHLIKE, 0 * SPEECHLIKE], 1), 16000, subtype="FLOAT")
    with pytest.raises(BadInput, match=r"a\.wav has 2 channels: give mono audio, or mix them with --channels mix"):
        load_audio(tmp_path / "a.wav")
    np.testing.assert_allclose(load_audio(tmp_path / "a.wav", channels="mix"), SPEECHLIKE / 2, atol=1e-7)


@settings(max_examples=30, deadline=None)
@given(start=st.integers(0, 15000), length=st.integers(1, 1000), rate=st.sampled_from([16000, 8000]))
def test_segment_is_a_slice(tmp_path_factory: pytest.TempPathFactory, start: int, length: int, rate: int) -> None:
    path = tmp_path_factory.mktemp("slice") / "a.flac"
    soundfile.write(path, SPEECHLIKE, rate)
    piece = Utterance("p", "s", path, start=start / rate, end=(start + length) / rate)
    whole = load_audio(path, sample_rate=rate)
    np.testing.assert_array_equal(load_audio(piece, sample_rate=rate), whole[start : start + length])
    assert duration(piece) == pytest.approx(length / rate)


def test_segment_of_opus_is_a_slice() -> None:
    """Seeking in Opus must land on the sample: the decoder is run in from an earlier page."""
    utterance = open_corpus("bundled").utterances[0]
    piece = Utterance("p", "s", utterance.path, start=0.7, end=1.2)
    np.testing.assert_allclose(load_audio(piece), load_audio(utterance)[11200:19200], atol=0.02)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that a decoder reads."""
    names: list[str] = []

    def read(file: soundfile.SoundFile, *sizes: int, **kinds: object) -> NDArray[np.float64]:
        names.append(Path(os.fsdecode(file.name)).name)
        return whole(file, *sizes, **kinds)

    whole = soundfile.SoundFile.read
    monkeypatch.setattr(soundfile.SoundFile, "read", read)
    return names


def test_compressed_speech_is_decoded_once_until_its_file_changes(tmp_path: Path, decoded: list[str]) -> None:
    one, other = tmp_path / "one.ogg", tmp_path / "other.ogg"
    for path in (one, other):
        soundfile.write(path, SPEECHLIKE, 16000, subtype="OPUS")
    before = load_audio(one)
    load_audio(other)
    before[:] = 9.0  # the caller's own
    np.testing.assert_allclose(load_audio(one), SPEECHLIKE, atol=0.05)
    assert decoded == ["one.ogg", "other.ogg"]
    soundfile.write(one, 0.5 * SPEECHLIKE, 16000, subtype="OPUS")
    np.testing.assert_allclose(load_audio(one), 0.5 * SPEECHLIKE, atol=0.05)
    assert decoded == ["one.ogg", "other.ogg", "one.ogg"]


def test_segment_bounds(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", SPEECHLIKE, 16000)

    def make(start: float, end: float | None) -> Utterance:
        return Utterance("p", "s", tmp_path / "a.wav", start=start, end=end)

    assert load_audio(make(0.75, None)).shape == (4000,)
    assert load_audio(make(0.75, 1.3)).shape == (4000,)  # Kaldi's tolerance: half a second too long is cut
    for start, end, said in [
        (0.5, 2.0, "lies outside"),
        (1.2, 1.4, "no samples between"),
        (-1.0, 0.5, "outside"),
    ]:
        with pytest.raises(BadInput, match=said):
            load_audio(make(start, end))


def float_wav(path: Path, value: float) -> None:
    soundfile.write(path, np.array([0.1, value, 0.2]), 16000, subtype="FLOAT")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.write_text("this is a letter, not a sound\n" * 20), "not readable audio"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: soundfile.write(path, np.zeros(0), 16000), "holds no samples"),
        (lambda path: float_wav(path, np.nan), "NaN or infinite"),
        (lambda path: float_wav(path, np.inf), "NaN or infinite"),
        (lambda path: path.mkdir(), "is not a file"),
        (lambda path: None, "is not a file"),
    ],
)
def test_what_is_not_audio_is_refused(tmp_path: Path, make, said: str) -> None:
    make(tmp_path / "a.wav")
    with pytest.raises(BadInput, match=said) as caught:
        load_audio(tmp_path / "a.wav")
    assert str(tmp_path / "a.wav") in str(caught.value)


def test_truncated_flac_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 64000), 16000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BadInput, match="ends after"):
        load_audio(path)


@pytest.mark.parametrize(
    ("file_format", "subtype", "endian"),
    [
        ("WAV", "PCM_16", "FILE"),
        ("WAV", "PCM_24", "FILE"),
        ("WAV", "MS_ADPCM", "FILE"),
        ("WAV", "PCM_16", "BIG"),
        ("WAVEX", "FLOAT", "FILE"),
    ],
)
def test_truncated_wav_is_refused(tmp_path: Path, file_format: str, subtype: str, endian: str) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, SPEECHLIKE, 16000, format=file_format, subtype=subtype, endian=endian)
    whole = path.read_bytes()
    assert load_audio(path).shape[0] >= 16000  # ADPCM fills its last block
    start = whole.index(b"data") + 8
    announced = int.from_bytes(whole[start - 4 : start], "big" if endian == "BIG" else "little")
    for length in (start + 1000, start + announced - 1):
        path.write_bytes(whole[:length])
        for use in (load_audio, duration, sample_rate):
            with pytest.raises(BadInput, match=rf"a\.wav ends after {length - start} of {announced} bytes of samples"):
                use(path)


def test_wav_with_chunks_around_its_samples(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, SPEECHLIKE, 16000)
    whole = path.read_bytes()
    note = b"note" + (3).to_bytes(4, "little") + b"odd" + b"\0"  # chunks begin at even positions
    path.write_bytes(whole[:36] + note + whole[36:] + note)
    assert load_audio(path).shape == (16000,)
    path.write_bytes(whole[:36] + note + whole[36:10_000])
    with pytest.raises(BadInput, match="ends after 9956 of 32000 bytes of samples"):
        load_audio(path)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x80000000, 0x7FFFF000])
def test_wav_written_to_a_pipe_is_read_to_its_end(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, SPEECHLIKE, 16000)
    streamed = bytearray(path.read_bytes())
    streamed[4:8] = streamed[40:44] = size.to_bytes(4, "little")
    path.write_bytes(streamed)
    assert load_audio(path).shape == (16000,) and duration(path) == 1.0
    streamed[4:8] = streamed[40:44] = bytes(4)
    path.write_bytes(streamed)
    assert sample_rate(path) == 16000 and load_audio(path).shape == (16000,)


def test_rf64_is_read(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", SPEECHLIKE, 16000, format="RF64")
    assert load_audio(tmp_path / "a.wav").shape == (16000,)


def test_headerless_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(bytes(3200))
    with pytest.raises(BadInput, match="no header"):
        load_audio(tmp_path / "a.raw")


def test_wrong_parameters(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", SPEECHLIKE, 16000)
    with pytest.raises(BadInput, match="sample rate"):
        load_audio(tmp_path / "a.wav", sample_rate=0)
    with pytest.raises(BadInput, match="Channels"):
        load_audio(tmp_path / "a.wav", channels="left")  # type: ignore[arg-type]


def test_total_seconds_is_what_loads() -> None:
    corpus = open_corpus("bundled").select(per_speaker=1, speakers=3)
    assert total_seconds(corpus) == pytest.approx(sum(len(load_audio(u)) for u in corpus.utterances) / 16000)
