"""Clips on disk: what is written is read again, all of a row or none, and strangers' files are refused."""

import json
import os
import stat

import numpy as np
import pytest
import soundfile

from wrongkey.errors import BadInput
from wrongkey.evaluation.run_folder import media
from wrongkey.evaluation.run_folder.media import Clip, kept_clips, load_clip, may_keep, read_clips, row_of
from wrongkey.evaluation.run_folder.tables import Damaged

ABOUT = {
    "attack": "", "given": "", "voice": "ann-1", "corpus": "toy", "recordings": "synthetic", "model": "toy",
    "scheme": "rom", "blocks": "samples", "block_size": 4, "front_end": False, "keyed": True, "keys": 3,
}  # fmt: skip
RATE = 16_000


def tone(level, seconds=1.0, rate=RATE):
    return level * np.sin(2 * np.pi * 500 * np.arange(int(seconds * rate)) / rate)


def waveforms(**about):
    clips = [Clip("original", tone(0.1)), Clip("encrypted", tone(4.0), -3.0), Clip("wrong key", tone(0.1), 1.5, 2)]
    return row_of(clips, RATE, **ABOUT | about)


def keep(folder, *rows):
    with kept_clips(folder) as kept:
        kept |= {row.about.attack: row for row in rows}


def rms(samples):
    return np.sqrt((samples[1000:-1000] ** 2).mean())


def test_what_is_kept_is_read_again_with_one_gain_for_a_row(tmp_path):
    keep(tmp_path, waveforms())
    (row,) = read_clips(tmp_path)
    assert (row.voice, row.seconds, [clip.snr for clip in row.clips]) == ("ann-1", 1.0, [None, -3.0, 1.5])
    original, encrypted, wrong = (load_clip(tmp_path, clip.file) for clip in row.clips)
    assert original[1] == RATE and len(original[0]) == RATE
    assert rms(encrypted[0]) / rms(original[0]) == pytest.approx(40, rel=0.05)
    assert rms(wrong[0]) == pytest.approx(rms(original[0]), rel=0.05)
    assert 0.8 < np.abs(encrypted[0]).max() <= 1
    modes = {stat.S_IMODE((tmp_path / "media" / clip.file).stat().st_mode) for clip in row.clips}
    assert modes == {0o600}


def test_a_rate_that_opus_lacks_becomes_the_next_one(tmp_path):
    keep(tmp_path, row_of([Clip("original", tone(0.5, rate=11_025))], 11_025, **ABOUT))
    samples, rate = load_clip(tmp_path, "sweep-original.opus")
    assert rate == 12_000 and len(samples) == pytest.approx(12_000, abs=20)
    spectrum = np.abs(np.fft.rfft(samples))
    assert np.argmax(spectrum) * rate / len(samples) == pytest.approx(500, abs=2)


def test_a_spectrogram_is_kept_as_it_is(tmp_path):
    query = np.random.default_rng(0).normal(-5, 3, (8, 30))
    keep(tmp_path, row_of([Clip("original", query)], 100, **ABOUT | {"blocks": "frames"}))
    samples, rate = load_clip(tmp_path, read_clips(tmp_path)[0].clips[0].file)
    assert rate == 0
    np.testing.assert_allclose(samples, query, atol=0.01)


def test_clips_are_in_no_file_while_they_are_held_and_back_at_any_end(tmp_path):
    keep(tmp_path, waveforms(), waveforms(attack="a b"))
    before = {path.name: path.read_bytes() for path in (tmp_path / "media").iterdir()}
    assert "attack-a-b-wrong-key.opus" in before
    with pytest.raises(KeyboardInterrupt), kept_clips(tmp_path) as rows:
        assert set(rows) == {"", "a b"} and not list((tmp_path / "media").iterdir())
        raise KeyboardInterrupt
    assert {path.name: path.read_bytes() for path in (tmp_path / "media").iterdir()} == before


def test_a_row_that_lacks_a_file_is_gone_and_others_stay(tmp_path):
    keep(tmp_path, waveforms(), waveforms(attack="told"))
    (tmp_path / "media/sweep-original.opus").unlink()
    keep(tmp_path)
    assert [row.attack for row in read_clips(tmp_path)] == ["told"]
    assert all("told" in path.name or path.name == "clips.json" for path in (tmp_path / "media").iterdir())


def test_a_folder_without_clips_gets_no_folder_for_them(tmp_path):
    keep(tmp_path)
    assert read_clips(tmp_path) == [] and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "file", ["../a.opus", "/etc/passwd", "a/b.opus", ".a.opus", "a.wav", "a.opus\n", "a\0.opus", "..opus"]
)
def test_a_file_name_that_leads_elsewhere_is_refused(tmp_path, file):
    keep(tmp_path, waveforms())
    path = tmp_path / "media/clips.json"
    found = json.loads(path.read_text())
    found["rows"][0]["clips"][0]["file"] = file
    path.write_text(json.dumps(found))
    with pytest.raises(BadInput, match=r"clips\.json is broken \(rows\.0\.clips\.0\.file is .* delete it"):
        read_clips(tmp_path)


def make_link(path):
    target = path.with_name("elsewhere.opus")
    path.replace(target)
    path.symlink_to(target)


def make_large(path):
    os.truncate(path, media.MOST_BYTES + 1)


def make_wav(path):
    with path.open("wb") as file:
        soundfile.write(file, tone(0.1), RATE, format="WAV")


def make_short(path):
    path.write_bytes(path.read_bytes()[:30])


@pytest.mark.parametrize("damage", [os.unlink, make_link, make_large, make_wav, make_short])
def test_a_file_that_is_no_clip_is_refused(tmp_path, damage):
    keep(tmp_path, waveforms())
    damage(tmp_path / "media/sweep-original.opus")
    with pytest.raises(Damaged, match=r"^it "):
        load_clip(tmp_path, "sweep-original.opus")


@pytest.mark.parametrize(
    "array", [np.array([[{}]], dtype=object), np.zeros(3), np.zeros((0, 3)), np.full((2, 2), np.nan)]
)
def test_an_array_that_is_no_spectrogram_is_refused(tmp_path, array):
    (tmp_path / "media").mkdir()
    np.save(tmp_path / "media/a.npy", array, allow_pickle=True)
    with pytest.raises(Damaged):
        load_clip(tmp_path, "a.npy")


def test_an_array_that_promises_more_than_it_holds_is_refused(tmp_path):
    (tmp_path / "media").mkdir()
    with (tmp_path / "media/a.npy").open("wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**6)}
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(Damaged):
        load_clip(tmp_path, "a.npy")


def test_whose_voices_are_kept():
    kept = {(said, who) for said in ("synthetic", "real", "none") for who in ("real", "synthetic", "unknown")
            if may_keep(said, who)}  # fmt: skip
    assert kept == {("synthetic", "synthetic"), ("real", "real"), ("real", "synthetic"), ("real", "unknown")}
