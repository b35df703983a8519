"""Clips in a report: captions, one colour scale for a row, real voices withheld, and strangers' names made harmless."""

import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.run_folder.test_media import ABOUT, RATE, keep, tone
from wrongkey.evaluation.run_folder.media import Clip, row_of
from wrongkey.reports.listen import find_clips
from wrongkey.reports.plates import COLOURS, of_arrays, of_powers, spectrogram

ROOT = Path(__file__).parents[2]
ATTACK = {"attack": "polyphase", "given": "5 s of ciphertext", "keys": None, "model": ""}


def row(**about):
    clips = [
        Clip("original", tone(1.0)), Clip("encrypted", tone(0.5), -3.2), Clip("wrong key", tone(0.5), -0.3, 1),
        Clip("best wrong key", tone(0.5), 0.2, 2), Clip("after the attack", tone(1.0), 149.5),
    ]  # fmt: skip
    return row_of(clips, RATE, **ABOUT | about)


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def test_captions_say_what_is_heard_and_how_near_it_is(tmp_path):
    keep(tmp_path / "run", row(), row(**ATTACK))
    found = find_clips([tmp_path / "run", tmp_path / "run", tmp_path / "none"])
    keys, attack = found.rows
    assert [clip.caption for clip in keys.clips[:4]] == [
        "Original", "Encrypted, SNR -3 dB", "Wrong key, SNR 0 dB", "Best wrong key of 3, SNR 0 dB",
    ]  # fmt: skip
    assert attack.clips[4].caption == "After polyphase, exact"
    assert keys.label == "ROM, M = 4" and keys.facts == "incorrect keys; toy; toy, ann-1"
    assert attack.facts == "polyphase, 5 s of ciphertext; no model; toy, ann-1"
    assert (keys.anchor, attack.anchor) == ("listen-run-keys", "listen-run-polyphase")
    clip = keys.clips[1]
    assert clip.audio == tmp_path / "run/media/sweep-encrypted.opus" and clip.seconds == 1.0
    assert clip.alt == ("Spectrogram of 1.0 s, 0 to 8 kHz: encrypted, SNR -3 dB; half of the energy is below 0.5 kHz.")
    assert (found.withheld, found.real, found.damaged) == ("", False, ())


def test_what_a_front_end_made_is_called_so_and_a_model_without_a_key_decrypts_nothing(tmp_path):
    keep(tmp_path / "a", row(front_end=True))
    keep(tmp_path / "b", row(keyed=False))
    first, second = find_clips([tmp_path / "a", tmp_path / "b"]).rows
    assert first.clips[0].caption == "Original, after the model's front end"
    assert [clip.caption for clip in second.clips[1:4:2]] == [
        "Encrypted with a random key, SNR -3 dB", "Encrypted with the best key of 3, SNR 0 dB"
    ]  # fmt: skip


def test_a_spectrogram_has_a_plate_and_no_sound(tmp_path):
    query = np.linspace(-10, 0, 240).reshape(8, 30)
    clips = [Clip("original", query), Clip("encrypted", -query, -9.0)]
    keep(tmp_path / "run", row_of(clips, 100, **ABOUT | {"blocks": "tiles", "front_end": True}))
    (shown,) = find_clips([tmp_path / "run"]).rows
    assert shown.label == "ROM, M = 4 (tiles)"
    assert [(clip.caption, clip.audio, clip.seconds) for clip in shown.clips] == [
        ("Original", None, 0.3), ("Encrypted, SNR -9 dB", None, 0.3)
    ]  # fmt: skip
    assert shown.clips[0].alt == "Query of 8 bins and 0.3 s: original."
    assert pixels(shown.clips[0].plate).shape == (8, 30)


def test_voices_of_real_people_are_shown_only_where_it_is_asked_for(tmp_path):
    for name in ("real", "unknown", "synthetic"):
        keep(tmp_path / name, row(recordings=name), row(recordings=name, **ATTACK))
    folders = [tmp_path / name for name in ("real", "unknown", "synthetic")]
    found = find_clips(folders)
    assert {row.anchor for row in found.rows} == {"listen-synthetic-keys", "listen-synthetic-polyphase"}
    assert found.withheld == (
        "2 runs keep clips of voices that are real people's or may be: they are shown only with --media real."
    )
    assert not found.real
    found = find_clips(folders, real=True)
    assert len(found.rows) == 6 and found.withheld == "" and found.real
    assert not find_clips(folders[2:], real=True).real
    assert find_clips(folders[1:2]).withheld.startswith("1 run keeps clips of voices")


def test_damaged_clips_are_a_sentence_and_the_others_are_shown(tmp_path):
    keep(tmp_path / "run", row(), row(**ATTACK))
    keep(tmp_path / "other", row())
    (tmp_path / "run/media/sweep-original.opus").write_bytes(b"OggS")
    (tmp_path / "other/media/clips.json").write_text("{")
    found = find_clips([tmp_path / "run", tmp_path / "other"])
    assert [row.anchor for row in found.rows] == ["listen-run-polyphase"]
    assert found.damaged == (
        "The clips of run, incorrect keys, are not shown: of sweep-original.opus, it cannot be decoded.",
        "The clips of other are not shown: its media/clips.json is broken.",
    )


def test_names_from_strangers_are_made_printable(tmp_path):
    hostile = {"attack": "<b>\x1b[31m", "given": "\u202egnp", "voice": "a\nb", "model": "\u2066m", "scheme": "\x07"}
    folder = tmp_path / "ru\u202en <x>"
    keep(folder, row())
    path = folder / "media/clips.json"
    said = json.loads(path.read_text())
    said["rows"][0] |= hostile
    path.write_text(json.dumps(said))
    (shown,) = find_clips([folder]).rows
    texts = [shown.label, shown.facts, *(text for clip in shown.clips for text in (clip.caption, clip.alt))]
    assert all(text.isprintable() for text in texts) and r"\u202egnp" in shown.facts
    assert shown.anchor.isascii() and set(shown.anchor) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_every_row_has_an_anchor_of_its_own(tmp_path):
    for place in ("a", "b", "c"):
        keep(tmp_path / place / "run", row())
    anchors = [row.anchor for row in find_clips([tmp_path / place / "run" for place in ("a", "b", "c")]).rows]
    assert anchors == ["listen-run-keys", "listen-run-keys-2", "listen-run-keys-3"]


def test_a_colour_means_one_level_throughout_a_row_and_low_frequencies_are_below():
    loud, quiet = (spectrogram(tone(level), RATE) for level in (1.0, 1e-2))  # 40 dB apart
    first, second = map(pixels, of_powers([loud, quiet]))
    assert first.shape == (201, loud.shape[1])
    peak = 200 - 500 // 40  # 500 Hz in bins of 40 Hz, from the bottom
    assert first[peak].max() == COLOURS - 1
    assert int(first[peak, 10]) - int(second[peak, 10]) == pytest.approx(40 / 70 * (COLOURS - 1), abs=1.5)
    assert (first[0, 5:-5] == 0).all()  # far above the tone, more than 70 dB below it
    assert of_powers([loud, quiet])[1] != of_powers([quiet])[0] == of_powers([loud])[0]


def test_plates_of_silence_and_of_one_value_are_pictures():
    assert pixels(of_powers([spectrogram(np.zeros(100), RATE)])[0]).max() == 0
    assert pixels(of_arrays([np.ones((2, 3))])[0]).shape == (2, 3)


def test_a_plate_is_small(tmp_path):
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(int(2.5 * RATE))
    assert len(of_powers([spectrogram(noise, RATE)])[0]) < 25_000


def test_looking_imports_neither_torch_nor_numba():
    code = "import sys, wrongkey.reports.listen; print(*{'torch', 'numba', 'wrongkey.attacks'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "\n", done.stderr


def test_no_machines_path_is_in_what_is_handed_out(tmp_path):
    keep(tmp_path / "run", row(), row(**ATTACK))
    found = find_clips([tmp_path / "run"])
    rows = [replace(row, clips=tuple(replace(clip, audio=None) for clip in row.clips)) for row in found.rows]
    assert str(tmp_path) not in repr(rows)
