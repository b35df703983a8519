"""Leaks: what must be seen in any ciphertext, and what must not be seen where nothing leaks."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from wrongkey.attacks.analyses.leaks.analysis import Leaks
from wrongkey.attacks.analyses.leaks.contours import (
    SINGLE_SAMPLES,
    balanced_accuracy,
    contour,
    contour_leaks,
    query_of,
)
from wrongkey.attacks.analyses.leaks.linkability import pair_eer, sentences, speaker_features, whitened_cosines
from wrongkey.attacks.analyses.leaks.media import write_media
from wrongkey.attacks.analyses.leaks.public_models import over_keys, recogniser_rows
from wrongkey.attacks.analyses.quietest import holds_blocks, quietest_fifth
from wrongkey.attacks.analyses.speech import COLUMNS
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import Corpus, Utterance, load_audio, open_corpus
from wrongkey.keys import correct_key, encrypt_query
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.key_cut import KeyCut

CORPUS = open_corpus("bundled")
CUTS = [KeyCut("samples", 10), KeyCut("samples", 128), KeyCut("tiles", 3), KeyCut("frames", 257)]


@pytest.fixture(scope="module")
def speech() -> torch.Tensor:
    return torch.from_numpy(load_audio(CORPUS.utterances[0], 16_000)).double()


def under(query: torch.Tensor, scheme: str, cut: KeyCut, seed: int = 0) -> torch.Tensor:
    return encrypt_query(query, correct_key(scheme, cut.size, seed), blocks=cut.blocks)


def leaks(corpus: Corpus, schemes: list[str], block_sizes: list[int], utterances: int, **options: Any) -> pd.DataFrame:
    analysis = Leaks(corpus=corpus, schemes=schemes, block_sizes=block_sizes, utterances=utterances, **options)
    return analysis.run().table


def test_contour_of_samples_is_the_energy_of_windows(speech: torch.Tensor) -> None:
    windows = speech[: len(speech) // 320 * 320].reshape(-1, 320).square().sum(1).numpy()
    expected = 10 * np.log10(np.maximum(windows, 1e-6 * windows.max()))
    np.testing.assert_allclose(contour(speech, SINGLE_SAMPLES, len(speech)), expected, atol=1e-6)


@pytest.mark.parametrize("scheme", ["shuffling", "flipping", "rom"])
@pytest.mark.parametrize("cut", CUTS, ids=str)
def test_no_key_hides_the_contour(speech: torch.Tensor, scheme: str, cut: KeyCut) -> None:
    encrypted = under(query_of(speech, cut.blocks), scheme, cut)
    levels = contour(encrypted, cut, len(speech))
    found = contour_leaks(levels, contour(speech, SINGLE_SAMPLES, len(speech)))
    assert found["energy"] > 0.95 and found["activity"] > 90 and found["rhythm"] > 0.9 and found["rate"] < 0.5


def test_a_ciphertext_without_energies_leaks_no_contour(speech: torch.Tensor) -> None:
    """White noise in place of ciphertext: every block has the same energy but for chance."""
    noise = torch.randn(len(speech), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    plain = contour(speech, SINGLE_SAMPLES, len(speech))
    found = contour_leaks(contour(noise, KeyCut("samples", 10), len(speech)), plain)
    assert abs(found["energy"]) < 0.3 and 30 < found["activity"] < 70


def test_balanced_accuracy() -> None:
    true = np.array([True, True, False, False, False, False])
    assert balanced_accuracy(true, true) == 100
    assert balanced_accuracy(np.ones(6, dtype=bool), true) == 50
    assert balanced_accuracy(~true, true) == 0
    assert np.isnan(balanced_accuracy(true, np.ones(6, dtype=bool)))


@pytest.mark.parametrize("cut", [KeyCut("samples", 5), KeyCut("tiles", 4), KeyCut("frames", 257)], ids=str)
def test_features_of_a_key_each_do_not_see_the_key(speech: torch.Tensor, cut: KeyCut) -> None:
    query = query_of(speech[:20_000], cut.blocks)
    one, other = (speaker_features(under(query, "rom", cut, seed), cut, one_key=False) for seed in (0, 1))
    torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


def test_distances_under_one_key_are_those_of_plain_speech(speech: torch.Tensor) -> None:
    parts, cut = (speech[:16_000], speech[16_000:32_000]), KeyCut("samples", 6)
    plain, encrypted = (
        [speaker_features(under(part, "rom", cut) if hidden else part, cut, one_key=True) for part in parts]
        for hidden in (False, True)
    )
    torch.testing.assert_close((plain[0] - plain[1]).norm(), (encrypted[0] - encrypted[1]).norm(), rtol=1e-6, atol=1e-6)


def speakers(count: int, each: int) -> list[Utterance]:
    """Utterances without audio of their own."""
    some = CORPUS.utterances[0].path
    return [Utterance(f"{who}-{i}", f"s{who}", some) for who in range(count) for i in range(each)]


def test_pairs_of_speakers_are_told_apart_only_where_they_differ() -> None:
    used = speakers(12, 4)
    noise = torch.randn(48, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    own = torch.randn(12, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).repeat_interleave(4, 0)
    assert pair_eer(whitened_cosines(own + 0.1 * noise), used) < 1
    assert 35 < pair_eer(whitened_cosines(noise), used) < 65


def test_whitened_cosines_do_not_see_a_change_of_basis() -> None:
    features = torch.randn(9, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    turned = features @ torch.from_numpy(correct_key("rom", 20, 0)) + 3
    torch.testing.assert_close(whitened_cosines(turned), whitened_cosines(features))


def test_run(tmp_path: Path) -> None:
    corpus = CORPUS.select(3, 4)
    models: dict[str, Any] = {"speaker_model": "asv-raw10", "recogniser": "asr-words"}
    findings = Leaks(corpus=corpus, schemes=["rom"], block_sizes=[3, 40], utterances=3, **models).run(tmp_path)
    found = findings.table
    assert tuple(found.columns) == COLUMNS
    assert set(found.metric) == {"energy", "activity", "rhythm", "rate", "linkability", "eer", "wer"}
    assert set(found[found.blocks == "tiles"].block_size) == {3}, "tiles of 40 bins are left out"
    linked = found[found.metric == "linkability"]
    alone = {"one key", "a key each"}
    assert set(linked.condition) == alone | {f"{name}, quietest fifth" for name in alone}
    assert linked.value.between(0, 100).all()
    heard = found[found.metric == "eer"]
    quiet = {f"{name}, quietest fifth" for name in ("plain", "encrypted")}
    assert set(heard.condition) == {"plain", "encrypted"} | quiet
    said = findings.about["sentences"]
    one = linked[(linked.blocks == "samples")].groupby("condition").value.median()
    assert f"samples, one key {one['one key, quietest fifth']:.1f} % (all of it: {one['one key']:.1f} %)" in said[0]
    assert "the speaker model, plain " in said[0] and said[1].startswith("The corpus does not say its sessions")
    energy = found[(found.metric == "energy") & (found.block_size == 3)].groupby("condition").value.median()
    assert energy["encrypted"] > 0.95 > energy["chance"] + 0.2
    assert len(list((tmp_path / "media/leaks").glob("*.npz"))) == 2
    for file in (tmp_path / "media/leaks").glob("*.npz"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600  # may be a real person's speech
        with np.load(file) as arrays:
            assert {"plain", "rom-3"} <= set(arrays) and arrays["plain"].dtype == np.float16


def test_speech_without_spaces_is_heard_in_characters() -> None:
    used = [replace(utterance, text="今天天气很好") for utterance in CORPUS.utterances[:2]]
    speech = [torch.from_numpy(load_audio(utterance)).double() for utterance in used]
    rows = recogniser_rows(speech, used, over_keys(["rom"], [3]), 0, "asr-words", "basic")
    assert {row["metric"] for row in rows} == {"cer"} and all(row["value"] >= 100 for row in rows)


def test_speakers_with_one_utterance_cannot_be_linked() -> None:
    found = leaks(CORPUS.select(1, 3), ["flipping"], [3], 2, blocks=["samples"])
    assert set(found.metric) == {"energy", "activity", "rhythm", "rate"}
    assert sentences(found, CORPUS.select(1, 3)) == []


def rooms(folder: Path, seconds: float, pause: bool) -> Corpus:
    """Six speakers who say the same, each in a room whose noise has a colour of its own, or in silence."""
    rng = np.random.default_rng(0)
    for who in range(6):
        for take in range(3):
            said = np.where(rng.random(round(seconds * 50)) < 0.6, 1.0, 0.0).repeat(320) * rng.standard_normal(
                round(seconds * 50) * 320
            )
            noise = np.convolve(rng.standard_normal(len(said)), np.cos(0.5 * who * np.arange(8)), "same")
            place = folder / f"s{who}" / f"{take}.wav"
            place.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(place, 0.1 * said + (0.003 * noise if pause else 0.0), 16_000, subtype="FLOAT")
    return open_corpus(f"folder:{folder}")


def test_who_is_told_by_the_room_alone_is_seen_in_the_quietest_fifth(tmp_path: Path) -> None:
    corpus = rooms(tmp_path, 3.0, pause=True)
    found = leaks(corpus, ["rom"], [8], 1, blocks=["samples"])
    linked = found[found.metric == "linkability"].set_index("condition").value
    assert linked["one key, quietest fifth"] < 5 < 25 < linked["one key"], "all speak alike, and rooms differ"
    assert linked["a key each, quietest fifth"] < linked["a key each"]


@pytest.mark.parametrize(("seconds", "pause"), [(0.8, True), (1.0, False)])
def test_recordings_without_enough_quiet_signal_have_no_control(tmp_path: Path, seconds: float, pause: bool) -> None:
    corpus = rooms(tmp_path, seconds, pause)
    found = leaks(corpus, ["rom"], [8], 1, blocks=["samples"])
    assert set(found[found.metric == "linkability"].condition) == {"one key", "a key each"}
    (said,) = sentences(found, corpus)
    assert said.startswith("The quietest fifth of each recording alone was not heard")


def test_the_quietest_fifth_is_a_fifth_and_the_quietest() -> None:
    loudness = torch.tensor([5.0, 1.0, 0.0, 4.0, 2.0, 3.0]).repeat(20)  # 100 frames that hold anything
    frames = loudness[:, None] * torch.ones(320)
    quiet = quietest_fifth(torch.cat([frames.flatten(), torch.full((100,), 0.1)]), 16_000)
    assert quiet.shape == (20 * 320,) and set(quiet.tolist()) == {1.0}
    rising = torch.arange(1.0, 101.0)[:, None] * torch.ones(320)
    assert quietest_fifth(rising.flatten(), 16_000)[::320].tolist() == list(range(1, 21)), "in their own order"
    assert len(quietest_fifth(rising[:49].flatten(), 16_000)) == 0
    samples, tiles, bins = KeyCut("samples", 10), KeyCut("tiles", 3), KeyCut("frames", 3)
    assert holds_blocks(torch.ones(20), samples) and not holds_blocks(torch.ones(19), samples)
    assert holds_blocks(torch.ones(9, 6), tiles) and not holds_blocks(torch.ones(9, 5), tiles)
    assert not holds_blocks(torch.ones(2, 9), tiles) and holds_blocks(torch.ones(2, 9), bins)


def test_bad_input() -> None:
    with pytest.raises(BadInput, match="syllables"):
        leaks(CORPUS, ["rom"], [3], 1, blocks=["syllables"])
    with pytest.raises(BadInput, match="rot13"):
        leaks(CORPUS.select(1, 2), ["rot13"], [3], 1)


@pytest.mark.parametrize("name", ["ann/1", "../../outside"])
def test_what_figures_show_stays_in_its_folder_whatever_the_utterance_is_called(name: str, tmp_path: Path) -> None:
    utterance = replace(open_corpus("bundled").utterances[0], id=name)
    folder = tmp_path / "run" / "media" / "leaks"
    write_media(folder, utterance, torch.randn(900), Blocks.SAMPLES, ["rom"], [3], 0)
    (made,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert made.parent == folder
    assert set(np.load(made).files) == {"plain", "rom-3"}
