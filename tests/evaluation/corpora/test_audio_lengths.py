"""Recordings whose headers announce another length than the file has: read whole, or refused with what is wrong."""

import errno
import io
import os
import signal
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import Utterance, containers, duration, load_audio
from wrongkey.evaluation.corpora.audio import sample_rate
from wrongkey.evaluation.corpora.ogg import _checksum
from wrongkey.evaluation.corpora.part import Joined

RATE = 16000
NOISE = np.random.default_rng(1).uniform(-0.5, 0.5, 4001)
SOUND = np.round(NOISE * 32767) / 32768  # as 16 bits hold it
LIST = b"LIST" + (26).to_bytes(4, "little") + b"INFOISFT" + (14).to_bytes(4, "little") + b"some software\0"


def wav(size: int, riff: int | None = None, behind: bytes = b"", before: bytes = b"", order: str = "<") -> bytes:
    """4001 samples of 16 bits, 8002 bytes, under a header that says what it is told."""
    samples = (SOUND * 32768).astype(f"{order}i2").tobytes()
    form = struct.pack(f"{order}HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16)
    body = b"WAVEfmt " + struct.pack(f"{order}I", 16) + form + before + b"data" + struct.pack(f"{order}I", size)
    body += samples + behind
    return (b"RIFF" if order == "<" else b"RIFX") + struct.pack(f"{order}I", len(body) if riff is None else riff) + body


def written(path: Path, form: str, subtype: str = "PCM_16", samples: NDArray[np.float64] = SOUND) -> bytearray:
    soundfile.write(path, samples, RATE, format=form, subtype=subtype)
    return bytearray(path.read_bytes())


def holds(path: Path, content: bytes, samples: NDArray[np.float64] = SOUND) -> None:
    """Whether load_audio and duration find these samples in a file of this content."""
    path.write_bytes(content)
    assert duration(path) == len(samples) / RATE
    np.testing.assert_array_equal(load_audio(path), samples.astype(np.float32))
    piece = Utterance("p", "s", path, start=1000 / RATE, end=3500 / RATE)
    np.testing.assert_array_equal(load_audio(piece), samples[1000:3500].astype(np.float32))


def refused(path: Path, content: bytes, said: str) -> str:
    path.write_bytes(content)
    for use in (load_audio, duration, sample_rate):
        with pytest.raises(BadInput, match=said) as caught:
            use(path)
    return str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        wav(8002),
        wav(0),
        wav(0, riff=0),
        wav(0x7FFFFFFF),
        wav(0xFFFFFFFF, riff=0xFFFFFFFF, before=LIST),
        wav(0xFFFFFFFF - 36, riff=0xFFFFFFFF),
        *(wav(8002 + more, riff) for more in (8, 16, 36, 44) for riff in (None, 8002 + 36 + more)),
        wav(8002 + 3000, behind=b""),  # RIFF ends with the file
        wav(4001),  # samples, not bytes
        wav(4001, riff=4001 + 36),
        wav(4000),  # RIFF ends with the file
        wav(8002, order=">"),
        wav(0, order=">"),
        wav(8046, order=">"),
        wav(8002, behind=LIST),
        wav(8002, behind=LIST, riff=8002 + 36),
        wav(8002, behind=LIST[:-9]),
        wav(8002, behind=b"bext\0\0\0\0cue \x04\0\0\0\0\0\0\0"),
        wav(8002, behind=b"id3 \x03\0\0\0abc"),  # without padding
        wav(8002, behind=b"TAG" + bytes(125), riff=8002 + 36),
        wav(8002, behind=bytes(500), riff=8002 + 36),
        wav(0, behind=LIST),
        wav(0xFFFFFFFF, behind=LIST),
        wav(8046, behind=LIST),
        wav(4001, behind=LIST),
        wav(8002, before=b"note\x03\0\0\0odd\0"),
    ],
)
def test_wav_is_read_whole(tmp_path: Path, content: bytes) -> None:
    holds(tmp_path / "a.wav", content)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (wav(8002)[:4000], "ends after 3956 of 8002 bytes of samples: fetch or copy it again"),
        (wav(8002)[:-2], "ends after 8000 of 8002"),
        (wav(8002, before=LIST)[:4000], "ends after 3922 of 8002"),
        (wav(8002, behind=LIST)[:8000], "ends after 7956 of 8002"),
        (wav(8002)[:30], "no samples where its header"),
        (wav(4000, riff=4036), "4000 bytes of samples, and 4002 bytes that belong to no chunk follow"),
        (wav(7000, riff=7036), "sox --ignore-length"),
        (wav(4000, behind=b"", before=LIST, riff=4070), "belong to no chunk"),
        (wav(8002, behind=b"data" + (100).to_bytes(4, "little") + bytes(100)), "in several chunks"),
        (wav(8002, behind=b"data" + (100).to_bytes(4, "little") + bytes(50)), "in several chunks"),
        (wav(3 * 2**30, riff=3 * 2**30 + 36), "ends after 8002 of 3221225472"),
    ],
)
def test_wav_is_refused_with_what_is_wrong(tmp_path: Path, content: bytes, said: str) -> None:
    told = refused(tmp_path / "a.wav", content, said)
    assert ("fetch" in told) == ("ends after" in told or "no samples where" in told)


def test_stereo_wav_that_counts_samples(tmp_path: Path) -> None:
    whole = bytearray(written(tmp_path / "a.wav", "WAV", samples=np.stack([SOUND, -SOUND], 1)))
    whole[40:44] = (4001).to_bytes(4, "little")
    (tmp_path / "a.wav").write_bytes(whole)
    assert not load_audio(tmp_path / "a.wav", channels="mix").any() and duration(tmp_path / "a.wav") == 4001 / RATE


# Form, and where the size stands: what comes before it, its bytes, their order, what the size counts besides samples.
FIELDS = {
    "RF64": (b"ds64\x1c\0\0\0" + b"????????", 8, "little", 0),
    "W64": (b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0O\x8e\xdb\x8a", 8, "little", 24),
    "AIFF": (b"SSND", 4, "big", 8),
    "CAF": (b"data", 8, "big", 4),
    "AU": (b".snd????", 4, "big", 0),
}


def sized(content: bytearray, form: str, size: int) -> bytes:
    mark, width, order, own = FIELDS[form]
    at = content.index(mark.rstrip(b"?")) + len(mark)
    size = size + own if size >= 0 else 2 ** (8 * width) - 1
    return bytes(content[:at] + size.to_bytes(width, order) + content[at + width :])  # type: ignore[arg-type]


@pytest.mark.parametrize("form", FIELDS)
def test_other_containers(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"a.{form.lower()}"
    content = written(path, form)
    holds(path, bytes(content))
    for size in (0, -1, 8002 + 8, 8002 + 44, 4001):
        holds(path, sized(content, form, size))
    begin = len(content) - 8002 - len(content) % 2
    for cut in (len(content) // 2, len(content) - 100):
        refused(
            path, bytes(content[:cut]), f"ends after {cut - begin} of 8002 bytes of samples: fetch or copy it again"
        )


def test_containers_with_chunks_behind(tmp_path: Path) -> None:
    even = SOUND[:-1]
    for form, behind in (
        ("RF64", LIST),
        ("W64", b"bext" + bytes(12) + (32).to_bytes(8, "little") + b"12345678"),
        ("AIFF", b"NAME\0\0\0\4name"),
        ("CAF", b"info\0\0\0\0\0\0\0\4\0\0\0\0"),
    ):
        content = written(tmp_path / "a", form, samples=even)
        holds(tmp_path / "a", bytes(content) + behind, even)


def test_nist_follows_its_sample_count(tmp_path: Path) -> None:
    path = tmp_path / "a.sph"
    content = bytes(written(path, "NIST"))
    holds(path, content)
    holds(path, content + bytes(90))
    holds(path, content.replace(b"sample_count -i 4001", b"sample_count -i 0   "))
    refused(path, content[:5000], "ends after 3976 of 8002 bytes")
    refused(path, content.replace(b"sample_count -i 4001", b"sample_count -i 3001"), "6002 bytes of samples, and 2000")


def test_nist_with_bytes_as_text_is_read(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.sph", np.zeros(800), 16_000, "ULAW", format="NIST")
    assert b"sample_n_bytes -s1 1" in (tmp_path / "a.sph").read_bytes()
    assert len(load_audio(tmp_path / "a.sph")) == 800


@pytest.mark.parametrize("subtype", ["PCM_24", "FLOAT", "DOUBLE", "ULAW"])
@pytest.mark.parametrize("form", ["WAV", "AIFF", "AU", "CAF"])
def test_widths(tmp_path: Path, form: str, subtype: str) -> None:
    path = tmp_path / "a.bin"
    content = written(path, form, subtype)
    whole = load_audio(path)
    assert len(whole) - len(SOUND) in ((0, 1) if form == "AIFF" else (0,))  # libsndfile reads a byte of padding
    np.testing.assert_allclose(whole[:4001], SOUND, atol=0.03)
    refused(path, bytes(content[: len(content) * 3 // 4]), "ends after")


# FLAC

LONG = np.tile(SOUND, 5)  # more than one frame


def total(content: bytearray, samples: int) -> bytes:
    """FLAC content with another number of samples in its STREAMINFO."""
    content = content.copy()
    content[18:26] = (int.from_bytes(content[18:26], "big") >> 36 << 36 | samples).to_bytes(8, "big")
    return bytes(content)


@pytest.mark.parametrize("samples", [LONG, SOUND, LONG[:16384]])
def test_flac_of_unknown_or_wrong_length(tmp_path: Path, samples: NDArray[np.float64]) -> None:
    path = tmp_path / "a.flac"
    content = written(path, "FLAC", samples=samples)
    assert total(content, len(samples)) == content
    for announced in (0, 1, 3000, len(samples) - 1):
        holds(path, total(content, announced), samples)
    holds(path, total(content, 0) + b"TAG" + bytes(125), samples)
    holds(path, bytes(content) + b"TAG" + bytes(125), samples)


def test_flac_that_announces_more(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    holds(path, total(written(path, "FLAC", samples=LONG), 99999), LONG)  # its last frame is shorter: the stream ended
    content = total(written(path, "FLAC", samples=np.tile(LONG, 2)[: 4096 * 4]), 4096 * 5)
    refused(path, content, "ends after 16384 of 20480 samples, between two frames: .*, where this is all there is")


@pytest.mark.parametrize("announced", [0, 20005])
def test_flac_cut_short(tmp_path: Path, announced: int) -> None:
    path = tmp_path / "a.flac"
    content = total(written(path, "FLAC", samples=LONG), announced)
    for length in (len(content) // 2, len(content) // 4, 300):
        said = f"ends after (0|4096|8192) of {announced or 'all its'} samples, in the middle of a frame: fetch or copy"
        refused(path, content[:length], said)
    path.write_bytes(content[:-3])
    with pytest.raises(BadInput, match=r"ends after|damaged"):
        load_audio(path)


# MP3


@pytest.fixture(scope="module")
def mp3(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes, NDArray[np.float32]]:
    """MP3 of variable bit rate with a Xing frame, its frames alone, and what those hold."""
    if "MP3" not in soundfile.available_formats():
        pytest.skip("libsndfile before 1.1 reads no MP3")
    path = tmp_path_factory.mktemp("mp3") / "a.mp3"
    loudness = np.linspace(0, 1, 32000) ** 4
    samples = 0.5 * loudness * np.sin(np.arange(32000) / 9) + 0.2 * loudness * np.random.default_rng(0).normal(
        size=32000
    )
    with soundfile.SoundFile(path, "w", RATE, 1, format="MP3", bitrate_mode="VARIABLE", compression_level=0.3) as file:
        file.write(samples)
    content = path.read_bytes()
    first = content.index(b"\xff\xf3", 4)
    assert b"Xing" in content[:first]
    whole = load_audio(path)
    assert len(whole) == 32000
    return content, content[first:], whole


ID3 = b"ID3\3\0\0\0\1\x1c\x20" + b"\xff\xf3\x18\xc4" * 5000 + bytes(16)
APE = b"APETAGEX" + bytes(24)


def test_mp3_without_a_xing_frame(tmp_path: Path, mp3: tuple[bytes, bytes, NDArray[np.float32]]) -> None:
    _, frames, whole = mp3
    path = tmp_path / "a.mp3"
    for content in (frames, ID3 + frames, frames + b"TAG" + bytes(125), ID3 + frames + APE + b"TAG" + bytes(125)):
        path.write_bytes(content)
        samples = load_audio(path)
        assert len(samples) == 58 * 576 and duration(path) == len(samples) / RATE
        np.testing.assert_allclose(samples[1105:33105], whole[: len(samples) - 1105], atol=1e-6)  # LAME's delay
        piece = Utterance("p", "s", path, start=1.0, end=1.5)
        np.testing.assert_array_equal(load_audio(piece), samples[16000:24000])


def test_mp3_that_counted_its_own_frame(tmp_path: Path, mp3: tuple[bytes, bytes, NDArray[np.float32]]) -> None:
    content, _, whole = mp3
    at = content.index(b"Xing") + 8
    count = int.from_bytes(content[at : at + 4], "big")
    (tmp_path / "a.mp3").write_bytes(content[:at] + (count + 1).to_bytes(4, "big") + content[at + 4 :])
    np.testing.assert_array_equal(load_audio(tmp_path / "a.mp3")[:31000], whole[:31000])


def test_mp3_is_refused_with_what_is_wrong(tmp_path: Path, mp3: tuple[bytes, bytes, NDArray[np.float32]]) -> None:
    content, frames, _ = mp3
    path = tmp_path / "a.mp3"
    cut = content.index(b"\xff\xf3", len(content) // 2)  # where a frame begins
    first = len(content) - len(frames)
    for whole in (content[: cut + 20], frames[: cut + 20 - first]):
        refused(path, whole, r"ends after 20 of \d+ bytes of its last MP3 frame: fetch or copy it again")
    refused(path, content[:cut], r"ends after \d+ of 58 MP3 frames: fetch or copy it again")
    refused(path, content + content, "announces 58 MP3 frames and holds 117, as files that were joined do: convert it")
    refused(path, content[:cut] + b"garbage" * 30 + content[cut:], "bytes that are not an MP3 frame")
    refused(path, ID3 + b"hello" * 100, "no two MP3 frames in a row")


def test_a_piece_of_mp3_is_a_slice(tmp_path: Path, mp3: tuple[bytes, bytes, NDArray[np.float32]]) -> None:
    content, _, whole = mp3
    (tmp_path / "a.mp3").write_bytes(content)
    for start in (0.3, 1.1, 0.7):
        piece = Utterance("p", "s", tmp_path / "a.mp3", start=start, end=start + 0.4)
        first = round(start * RATE)
        np.testing.assert_array_equal(load_audio(piece), whole[first : first + 6400])


# Ogg


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_ogg(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "a.ogg"
    samples = np.tile(LONG, 4)
    content = bytes(written(path, "OGG", subtype, samples))
    whole = load_audio(path)
    assert len(whole) == len(samples)
    for start in (0.3, 2.7, 4.1, 1.9):  # seeking would let the decoder run in
        first = round(start * RATE)
        piece = Utterance("p", "s", path, start=start, end=start + 0.5)
        np.testing.assert_array_equal(load_audio(piece), whole[first : first + 8000])

    pages = [at for at in range(len(content)) if content.startswith(b"OggS", at)]
    refused(path, content[: len(content) // 2], "ends in the middle of an Ogg page: fetch or copy it again")
    refused(path, content[: pages[-1]], "lacks the page that ends an Ogg stream: fetch or copy it again, or")
    refused(path, content[: pages[3]] + content[pages[4] :], "lacks Ogg pages before page 4: fetch")
    refused(path, content + content, "several recordings one after another .*: convert it")
    damaged = bytearray(content)
    damaged[pages[3] + 400] ^= 1
    refused(path, bytes(damaged), f"is damaged in the Ogg page at byte {pages[3]}: fetch")
    refused(path, content[: pages[3]] + b"garbage" + content[pages[3] :], "no Ogg page begins")
    path.write_bytes(content + bytes(100))
    np.testing.assert_array_equal(load_audio(path), whole)


def test_ogg_that_announces_a_million_years(tmp_path: Path) -> None:
    content = written(tmp_path / "a.ogg", "OGG", "VORBIS", LONG)
    last = content.rindex(b"OggS")
    content[last + 6 : last + 14] = (2**60).to_bytes(8, "little")
    content[last + 22 : last + 26] = bytes(4)
    content[last + 22 : last + 26] = _checksum(bytes(content[last:])).to_bytes(4, "little")
    refused(tmp_path / "a.ogg", bytes(content), "no recording has that many")


# Decoders that cannot seek


@pytest.mark.parametrize(
    ("form", "subtype"),
    [("WAV", "GSM610"), ("WAV", "G721_32"), ("AU", "G723_24"), ("WAV", "NMS_ADPCM_16"), ("WAV", "IMA_ADPCM"),
     ("WAV", "MS_ADPCM"), ("AIFF", "IMA_ADPCM"), ("CAF", "ALAC_16"), ("AIFF", "GSM610")],
)  # fmt: skip
def test_pieces_of_telephone_recordings(tmp_path: Path, form: str, subtype: str, monkeypatch) -> None:
    path = tmp_path / "a.bin"
    samples = 0.5 * np.sin(np.arange(32000) / 8)
    content = written(path, form, subtype, samples)
    whole = load_audio(path)
    assert 32000 <= len(whole) < 34000

    def pieces() -> None:
        for first in (20000, 100, 7777):
            piece = Utterance("p", "s", path, start=first / RATE, end=(first + 3000) / RATE)
            np.testing.assert_array_equal(load_audio(piece), whole[first : first + 3000])

    pieces()
    monkeypatch.setattr("wrongkey.evaluation.corpora.audio.MANY", 0)  # as where the whole is too large to be kept
    monkeypatch.setattr("wrongkey.evaluation.corpora.audio.PER_BYTE", 10**9)
    pieces()
    for missing in (len(content) // 2, 8, 44)[: 1 if form == "AU" else 3]:  # a header counted in would cost a block
        refused(path, bytes(content[:-missing]), "ends after")


def test_a_file_that_was_replaced_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    piece = Utterance("p", "s", path, start=0.1, end=0.2)
    answers = []
    for pitch in (8, 9):
        written(tmp_path / "new.wav", "WAV", "GSM610", 0.5 * np.sin(np.arange(16000) / pitch))
        (tmp_path / "new.wav").replace(path)
        answers.append(load_audio(piece))
        np.testing.assert_array_equal(answers[-1], load_audio(path)[1600:3200])
    assert (answers[0] != answers[1]).any()


# What fills the memory, and names


def test_sample_rates_are_bounded(tmp_path: Path) -> None:
    content = bytearray(wav(8002))
    for rate in (1, 999, 2_000_000, 2**31 - 1):
        content[24:28] = rate.to_bytes(4, "little")
        refused(tmp_path / "a.wav", bytes(content), f"says that it has {rate} samples a second")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    with soundfile.SoundFile(path, "w", RATE, 1, format="FLAC") as file:
        for _ in range(140):
            file.write(np.zeros(10**6))
    assert path.stat().st_size < 10**6
    refused(path, path.read_bytes(), "announces 140000000 samples of 1 channels in .* no recording has that many")


@pytest.mark.parametrize(
    ("form", "subtype", "behind"),
    [("VOC", "PCM_16", 1), ("VOC", "PCM_U8", 1), ("AVR", "PCM_16", 0), ("SVX", "PCM_16", 0)],
)
def test_old_formats(tmp_path: Path, form: str, subtype: str, behind: int) -> None:
    path = tmp_path / "a.bin"
    content = bytes(written(path, form, subtype))
    np.testing.assert_allclose(load_audio(path, sample_rate(path)), SOUND, atol=0.01)  # VOC rounds rates
    size = 4001 * (1 if subtype == "PCM_U8" else 2)
    found = len(content) // 2 - (len(content) - behind - size)
    refused(
        path, content[: len(content) // 2], f"ends after {found} of {size} bytes of samples: fetch or copy it again"
    )
    refused(path, content + b"behind" * 9, "belong to no chunk follow")


@pytest.mark.parametrize("form", ["MAT4", "MPC2K"])
def test_formats_that_nobody_can_check_are_named(tmp_path: Path, form: str) -> None:
    refused(tmp_path / "a.bin", bytes(written(tmp_path / "a.bin", form)), f"is a {form} file.*: convert it to WAV")


def test_names_that_are_no_text(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/Ren\xe9.wav"))
    holds(path, wav(8002))
    told = refused(path, wav(8002)[:4000], "ends after")
    assert told.encode() and "Ren\\xe9.wav" in told
    for content, said in ((b"", "is empty"), (b"a letter\n" * 9, "not readable audio"), (wav(0)[:44], "no samples")):
        path.write_bytes(content)
        with pytest.raises(BadInput, match=said) as caught:
            load_audio(path)
        assert str(caught.value).encode()


def test_a_recording_named_raw(tmp_path: Path) -> None:
    holds(tmp_path / "a.raw", wav(8002))
    refused(tmp_path / "a.raw", bytes(3000), "no header that says its sample rate and format: .* sox -r 16000")


@pytest.mark.parametrize(
    "times", [(float("nan"), None), (0.0, float("nan")), (0.0, float("inf")), (float("inf"), None)]
)
def test_times_that_are_no_numbers(tmp_path: Path, times: tuple[float, float | None]) -> None:
    (tmp_path / "a.wav").write_bytes(wav(8002))
    with pytest.raises(BadInput, match=r"lies outside|holds no samples between"):
        load_audio(Utterance("p", "s", tmp_path / "a.wav", start=times[0], end=times[1]))


def test_silence_at_the_end_is_not_padding(tmp_path: Path) -> None:
    silent = np.concatenate([SOUND[:2000], np.zeros(2000)])
    content = bytearray(written(tmp_path / "a.wav", "WAV", samples=silent))
    content[40:44] = (4000).to_bytes(4, "little")  # samples, not bytes
    holds(tmp_path / "a.wav", bytes(content), silent)


@pytest.mark.parametrize("reads", [1, 5, 12, 13])  # the last is of the samples
def test_ctrl_c_while_a_repaired_recording_is_read_does_not_call_it_damaged(
    reads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In Python and notebooks: libsndfile dropped it, and the recording seemed to end early."""
    left = reads

    class Interrupted(Joined):
        def readinto(self, buffer: Any) -> int:
            nonlocal left
            left -= 1
            if not left:
                signal.raise_signal(signal.SIGINT)
            return super().readinto(buffer)

    path = tmp_path / "a.wav"
    path.write_bytes(wav(0))
    monkeypatch.setattr(containers, "Joined", Interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            load_audio(Utterance("p", "s", path, start=1000 / RATE, end=3500 / RATE))
        left = 0
        np.testing.assert_array_equal(load_audio(path), SOUND.astype(np.float32))
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("reads", [1, 2])  # of the header, and of the samples
def test_a_disk_that_fails_while_a_repaired_recording_is_read_is_named(
    reads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The recording was called damaged, or a file that is no audio, behind a traceback on the terminal."""
    left = reads

    class Failing(io.BufferedReader):
        def read(self, size: int | None = -1, /) -> bytes:
            nonlocal left
            left -= 1
            if left <= 0:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return super().read(size)

    path = tmp_path / "a.wav"
    path.write_bytes(wav(0))
    monkeypatch.setattr(
        containers, "Joined", lambda file, part, failures: Joined(Failing(io.FileIO(path)), part, failures)
    )
    with pytest.raises(BadInput, match=r"a\.wav cannot be read \(Input/output error\): check its disk"):
        load_audio(Utterance("p", "s", path, start=1000 / RATE, end=3500 / RATE))
    assert capsys.readouterr().err == ""
