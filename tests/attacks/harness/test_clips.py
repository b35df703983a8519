"""Clips of attacks: the right case, the right sound, and nothing in a file while attacks run."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from tests.attacks.harness import canaries
from tests.attacks.harness.test_suite import SALT, Blind, Told, speech
from tests.narrow import present
from wrongkey.attacks.base import Case, Recovery
from wrongkey.attacks.harness import clips, suite
from wrongkey.attacks.harness.clips import Found, to_keep
from wrongkey.attacks.harness.evidence import trial_of
from wrongkey.attacks.harness.registry import open_attack
from wrongkey.attacks.harness.target import Target
from wrongkey.evaluation.corpora import Corpus, open_corpus
from wrongkey.evaluation.run_folder.media import load_clip, read_clips

MEDIA = ("original", "encrypted", "wrong key", "after the attack")


def run(folder, attacks, **settings):
    return suite.run_attacks(speech(trials=1, **settings), attacks, folder, keys=2, workers=1).path


class Peeking(Blind):
    """Notes every file of the run folder that it can see."""

    name = "peeking"

    def __init__(self, folder=None, notes=None):
        self.folder, self.notes = folder, notes

    def run(self, evidence):
        seen = [str(path.relative_to(self.folder)) for path in self.folder.rglob("*")]
        self.notes.write_text("\n".join(seen))
        return Recovery(np.eye(evidence.setting.size))


def found(succeeded, **case):
    return Found(Case(**case), np.eye(2), succeeded)


def test_the_cheapest_success_is_kept_or_else_the_case_with_the_most_evidence():
    few, some, all_there_is = (found(s, seconds=n) for s, n in ((False, 1.0), (True, 5.0), (True, float("inf"))))
    assert to_keep([all_there_is, few, some]) is some
    assert to_keep([few, found(False, seconds=float("inf"), queries=3), found(False, seconds=9.0)]).case.queries == 3


def test_clips_of_a_recovered_key_and_of_one_that_is_not(tmp_path):
    folder = run(tmp_path / "run", [Told(), Blind()])
    told, blind = read_clips(folder)
    assert (told.attack, told.given, blind.attack, blind.given) == (
        "told", "200 known blocks, clean", "blind", "all ciphertext"
    )  # fmt: skip
    assert [clip.role for clip in told.clips] == list(MEDIA)
    levels = {clip.role: clip.snr for clip in told.clips}
    assert levels["original"] is None
    assert present(levels["encrypted"]) < 20 and present(levels["after the attack"]) > 140
    assert present(blind.clips[-1].snr) < 20
    sounds = {clip.role: load_clip(folder, clip.file) for clip in told.clips}
    original, rate = sounds["original"]
    assert rate == 16_000 and 2.0 < len(original) / rate <= 2.51
    noise = sounds["after the attack"][0] - original
    assert (noise**2).mean() < 0.01 * (original**2).mean()  # upright, whatever the sign of the key
    assert all((folder / "media" / clip.file).stat().st_size < 15_000 for clip in told.clips)
    assert "key_error" not in json.dumps(told.model_dump())


def test_no_clip_lies_in_the_folder_while_an_attack_runs_and_a_resumed_run_keeps_them(tmp_path):
    folder, notes = tmp_path / "run", tmp_path / "notes.txt"
    run(folder, [Told()])
    before = {path.name: path.read_bytes() for path in (folder / "media").iterdir()}
    assert len(before) == 5
    run(folder, [Told(), Peeking(folder, notes)])
    assert "attacks/suite.json" in notes.read_text() and "opus" not in notes.read_text()
    after = {path.name: path.read_bytes() for path in (folder / "media").iterdir()}
    assert {name: after[name] for name in before if name != "clips.json"} == {
        name: content for name, content in before.items() if name != "clips.json"
    }
    assert [row.attack for row in read_clips(folder)] == ["told", "peeking"]


def test_clips_stay_where_an_attack_run_is_stopped(tmp_path, monkeypatch):
    folder = run(tmp_path / "run", [Told()])
    monkeypatch.setattr(suite, "run_trial", lambda *asked: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        run(folder, [Told(), Blind()])
    assert [row.attack for row in read_clips(folder)] == ["told"]
    assert load_clip(folder, "attack-told-original.opus")[1] == 16_000


def real(monkeypatch, recordings):
    opened = replace(open_corpus("bundled"), recordings=recordings)
    monkeypatch.setattr("wrongkey.attacks.harness.speakers.open_corpus", lambda *asked: opened)
    return opened


@pytest.mark.parametrize(("recordings", "media", "kept"), [
    ("real", "synthetic", False), ("unknown", "synthetic", False), ("real", "real", True), ("synthetic", "none", False),
])  # fmt: skip
def test_real_voices_are_kept_only_where_it_is_asked_for(tmp_path, monkeypatch, recordings, media, kept):
    assert isinstance(real(monkeypatch, recordings), Corpus)
    folder = run(tmp_path / "run", [Told()], media=media)
    assert bool(read_clips(folder)) == (folder / "media").exists() == kept


def test_another_media_setting_continues_a_run(tmp_path):
    folder = run(tmp_path / "run", [Told()], media="none")
    run(folder, [Told(), Blind()])
    assert [row.attack for row in read_clips(folder)] == ["blind"]  # the keys that Told found are gone


def test_the_sweep_beside_attacks_has_clips_once_they_have_ended(tmp_path):
    folder, notes = tmp_path / "run", tmp_path / "notes.txt"
    settings = {"model": "tests.toys:raw3", "per_speaker": 2, "block": None}
    run(folder, [Peeking(folder, notes)], **settings)
    assert "scores/conditions.parquet" in notes.read_text() and "opus" not in notes.read_text()
    sweep, peeking = read_clips(folder)
    assert (sweep.attack, sweep.keys, peeking.attack) == ("", 2, "peeking")
    assert [clip.role for clip in sweep.clips] == ["original", "encrypted", "wrong key", "best wrong key"]


def test_an_attack_without_a_key_has_no_clips(tmp_path):
    assert read_clips(run(tmp_path / "run", [canaries.Break(tmp_path)])) == []


def test_a_wrong_key_is_never_the_victims(tmp_path):
    target = Target(speech(scheme="flipping", block=3), tmp_path)
    for number in range(20):
        trial = trial_of(target, SALT, open_attack(Blind()), Case(), number)
        wrong = clips._wrong_key(target, trial)
        assert wrong is not None and not np.array_equal(wrong, trial.key)


def test_opus_is_what_a_browser_plays(tmp_path):
    folder = run(tmp_path / "run", [Told()])
    found = soundfile.info(folder / "media/attack-told-original.opus")
    assert (found.format, found.subtype, found.channels) == ("OGG", "OPUS", 1)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_wrong_key_sounds_wrong_whatever_its_sign(sign, monkeypatch, tmp_path):
    """The negative key decrypts the speech."""
    target = Target(speech(trials=1), tmp_path)
    trial = trial_of(target, SALT, Blind(), Case(), 0)
    other = np.diag([1.0, -1.0] * (len(trial.key) // 2) + [1.0] * (len(trial.key) % 2))
    monkeypatch.setattr(clips, "draw_keys", lambda *asked: np.stack([sign * trial.key, other]))
    assert present(clips._wrong_key(target, trial)) is not None
    assert np.array_equal(present(clips._wrong_key(target, trial)), other)
