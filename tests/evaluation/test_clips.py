"""Which clips a sweep keeps: the right keys, nothing of real people unless asked, and again where it is extended."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests import toys
from tests.evaluation.test_sweep import config
from tests.narrow import present
from wrongkey.evaluation import clips, experiment
from wrongkey.evaluation.clips import Spoken, begun, decrypted, effective_errors, has_front_end, long_enough
from wrongkey.evaluation.corpora import open_corpus
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.models.completed import completed
from wrongkey.evaluation.run_folder.media import load_clip, read_clips
from wrongkey.evaluation.sweep import sweep
from wrongkey.keys import correct_key, draw_keys
from wrongkey.keys.key_cut import KeyCut


def run(folder, model="raw3", **settings):
    return sweep(config(model, **{"keys": 4, **settings}), folder, workers=1).path


def roles(folder):
    return {clip.role: clip for row in read_clips(folder) for clip in row.clips}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return run(tmp_path_factory.mktemp("clips") / "run")


def test_a_sweep_keeps_one_utterance_under_four_keys(folder):
    kept, errors = roles(folder), effective_errors(folder, "eer")
    best = min(errors, key=lambda index: (errors[index], index))
    assert list(kept) == ["original", "encrypted", "wrong key", "best wrong key"]
    assert (kept["best wrong key"].key_index, kept["wrong key"].key_index) == (best, 1 if best == 0 else 0)
    assert kept["original"].snr is None and max(clip.snr for clip in list(kept.values())[1:]) < 20
    (row,) = read_clips(folder)
    assert (row.recordings, row.keys, row.keyed, row.front_end) == ("synthetic", 4, True, False)
    assert row.voice in {utterance.id for utterance in open_corpus("bundled").utterances}


def test_the_clips_are_what_the_keys_make_of_the_query(folder):
    prepared = Experiment(config(keys=4))
    kept = roles(folder)
    utterance = next(one for one in prepared.used if one.id == read_clips(folder)[0].voice)
    query = prepared.model.front_end(prepared.reader.waveform(utterance))[:39_999].double().numpy()
    wrong = prepared.incorrect.batch(kept["wrong key"].key_index, 1)[0]
    expected = {
        "original": query,
        "encrypted": (query.reshape(-1, 3) @ prepared.correct).ravel(),
        "wrong key": (query.reshape(-1, 3) @ prepared.correct @ wrong.T).ravel(),
    }
    for role, samples in expected.items():
        heard, rate = load_clip(folder, kept[role].file)
        assert rate == 16_000 and len(heard) == len(samples)
        assert abs(np.corrcoef(heard, samples)[0, 1]) > 0.95, role


def test_an_extended_sweep_chooses_its_best_key_anew_and_another_setting_continues_it(tmp_path):
    folder = run(tmp_path / "run", keys=2)
    first = (folder / "media/clips.json").stat().st_mtime_ns
    run(folder, keys=2)
    assert (folder / "media/clips.json").stat().st_mtime_ns == first  # a finished run is left alone
    run(folder, keys=4, media="none")
    assert read_clips(folder)[0].keys == 2
    run(folder, keys=4)
    assert read_clips(folder)[0].keys == 4


def test_without_media_nothing_is_kept(tmp_path):
    assert not (run(tmp_path / "run", keys=1, media="none") / "media").exists()


@pytest.mark.parametrize("recordings", ["real", "unknown"])
def test_real_voices_are_kept_only_where_it_is_asked_for(tmp_path, monkeypatch, recordings):
    opened = replace(open_corpus("bundled"), recordings=recordings)
    monkeypatch.setattr(experiment, "open_corpus", lambda *asked: opened)
    folder = run(tmp_path / "run", keys=1)
    assert read_clips(folder) == []
    run(folder, keys=1, media="real")
    assert [row.recordings for row in read_clips(folder)] == [recordings]
    assert [clip.role for clip in read_clips(folder)[0].clips] == ["original", "encrypted", "wrong key"]


def test_spectrograms_are_kept_as_arrays(tmp_path):
    folder = run(tmp_path / "run", "subsampled", task="asr", keys=2, replicates=0)
    (row,) = read_clips(folder)
    assert row.blocks == "tiles" and len(row.clips) == 4
    original, rate = load_clip(folder, row.clips[0].file)
    assert rate == 0 and original.ndim == 2 and 1.5 < row.seconds <= 2.5
    encrypted, _ = load_clip(folder, row.clips[1].file)
    assert encrypted.shape == original.shape and not np.allclose(encrypted, original)


def test_where_the_model_has_no_key_wrong_keys_encrypt(tmp_path):
    folder = run(tmp_path / "run", variant="waveform", block=5, keys=2)
    (row,) = read_clips(folder)
    assert [clip.role for clip in row.clips] == ["original", "encrypted", "best wrong key"] and not row.keyed
    assert not row.front_end  # the recording itself is encrypted
    assert {clip.key_index for clip in row.clips} == {None, 0, 1}


def test_an_utterance_is_long_enough_or_the_longest():
    lengths = [10, 30, 20, 60, 90]
    spoken = [Spoken(str(n), torch.zeros(n), rate=20) for n in lengths]
    assert long_enough(spoken).voice == "60" and long_enough(spoken[:3]).voice == "30"
    assert begun(spoken[3], KeyCut("samples", 7)).shape == (49,)
    assert begun(spoken[0], KeyCut("samples", 7)).shape == (7,)


def test_no_waveform_is_upside_down_and_a_spectrogram_keeps_its_sign():
    key, plain = correct_key("rom", 4, 0), torch.randn(400).double()
    clip = decrypted(plain, key, -key, KeyCut("samples", 4), "after the attack")
    np.testing.assert_allclose(clip.samples, plain)
    assert present(clip.snr) > 149
    frames = plain.reshape(4, 100)
    assert present(decrypted(frames, key, -key, KeyCut("frames", 4), "after the attack").snr) < 0


def test_the_snr_of_a_wrong_key_is_that_of_a_query_under_it():
    """The encrypted model reads x K' K^T; x K K'^T is as far from x."""
    (key, other), cut = draw_keys("rom", 4, 0, 0, 2), KeyCut("samples", 4)
    plain = torch.randn(4000).double()
    clip = decrypted(plain, key, other, cut, "wrong key")
    assert clip.snr == pytest.approx(decrypted(plain, other, key, cut, "wrong key").snr, abs=1e-6)


def test_a_louder_waveform_is_no_other():
    toy = toys.raw3()
    assert not has_front_end(completed(toy, "raw3"))  # ten times as loud
    toy.front_end = lambda waveform: waveform.diff(prepend=waveform[:1])  # type: ignore[method-assign]
    assert has_front_end(completed(toy, "raw3"))


def test_a_key_without_a_score_is_not_the_best():
    assert clips.first_and_best({0: float("nan"), 1: 50.0, 2: 60.0}) == (0, 1)
