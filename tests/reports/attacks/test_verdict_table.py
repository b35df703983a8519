"""A table of run folders for which the right verdict is known: the edges, where a rule of thumb goes wrong."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.narrow import present
from tests.reports.attack_folders import random_keys, rows, write_attacks, write_scores
from wrongkey.errors import BadInput
from wrongkey.evaluation.run_folder.schema import Verdicts, read_json
from wrongkey.reports.attacks.rows import load_attacks
from wrongkey.reports.attacks.threats import FAIL_IF, SEVERITY, Word, adversaries_named, fail_words
from wrongkey.reports.attacks.verdict_file import write_verdicts
from wrongkey.reports.attacks.verdicts import verdict

FOUND, LOST = 0.02, 1.4
EAVESDROPPER, INSIDER, USER = "eavesdropper", "insider with names", "unauthorised user"


def spread(middle, n=100, width=2.0):
    """Errors of incorrect keys around a median."""
    return list(np.linspace(middle - width, middle + width, n))


def read_verdicts(folder):
    return read_json(folder / "attacks/verdicts.json", Verdicts)


def order(hits, n, **columns):
    return rows("order", "5 s of ciphertext", [FOUND] * hits + [LOST] * (n - hits), seconds=5.0, **columns)


def judged(folder, table, *, plain=None, incorrect=(), trials=(610, 610), manifest=None, metric="eer", **setting):
    write_attacks(folder, table, model=None if plain is None else "toy", **setting)
    if plain is not None:
        write_scores(folder, plain, incorrect, metric, trials, manifest)
    return verdict(present(load_attacks(folder)))


def informed(error, low, high, n=1):
    return rows(
        "informed", "semi-informed", [np.nan] * n, snr=[np.nan] * n, error=error, error_low=low, error_high=high
    )


# Speech alone: (rows, asset, verdict, words of the sentence), for an eavesdropper.
KEYS = {
    "14 of 30 keys": (
        [*order(14, 30), *random_keys()], "key", Word.BROKEN, "14 of 30 keys, 47 % of keys [30, 64 %]"),
    "10 of 10": ([*order(10, 10), *random_keys()], "key", Word.BROKEN, "10 of 10"),
    "1 of 1 is nothing": ([*order(1, 1), *random_keys()], "key", Word.UNDECIDED, "too few to distinguish from chance"),
    "2 of 2 is little": ([*order(2, 2), *random_keys()], "key", Word.UNDECIDED, "too few to distinguish from chance"),
    "3 of 3 is overwhelming": ([*order(3, 3), *random_keys()], "key", Word.BROKEN, "3 of 3"),
    "0 of 1": ([*order(0, 1), *random_keys()], "key", Word.UNDECIDED, "; 1 trial is too few; at least 10 are needed"),
    "0 of 4": ([*order(0, 4), *random_keys()], "key", Word.UNDECIDED, "4 trials are too few; at least 10 are needed"),
    "0 of 30": ([*order(0, 30), *random_keys()], "key", Word.NOT_SHOWN, "0 of 30 keys, 0 % of keys [0, 11 %]"),
    "1 of 30": ([*order(1, 30), *random_keys()], "key", Word.UNDECIDED, "too few to distinguish from chance"),
    "5 of 100: rare, and real": (
        [*order(7, 100), *random_keys(300)], "key", Word.WEAKENED, "perhaps fewer than 10 % of keys"),
    "Flipping at M = 3: random keys are one of four": (
        [*order(4, 10), *random_keys(100, 25)], "key", Word.NOT_SHOWN, "random keys are found 25 of 100 times"),
    "Flipping at M = 3, found every time": ([*order(10, 10), *random_keys(100, 25)], "key", Word.BROKEN, "10 of 10"),
    "all failed": (
        [*order(0, 10, failed="LinAlgError: SVD did not converge"), *random_keys(failed="")],
        "key", Word.UNDECIDED, "broke down in 10 of 10 trials (LinAlgError: SVD did not"),
    "half failed, the others found": (
        [*order(10, 20, failed=[""] * 10 + ["LinAlgError: no"] * 10), *random_keys(failed="")],
        "key", Word.BROKEN, "10 of 10 keys, 100 % of keys [72, 100 %]; random keys are found 0 of 100 times; 10 of 20"),
    "half failed, the others in vain": (
        [*order(0, 10, failed=[""] * 5 + ["LinAlgError: no"] * 5), *random_keys(failed="")],
        "key", Word.UNDECIDED, "5 trials are too few"),
    "no baseline, few trials": (order(4, 4), "key", Word.UNDECIDED, "no baseline of random keys"),
    "no baseline, none found": (order(0, 10), "key", Word.UNDECIDED, "no baseline of random keys"),
    "no baseline, half found": (order(5, 10), "key", Word.UNDECIDED, "no baseline of random keys"),
    "no baseline, all found": (order(10, 10), "key", Word.BROKEN, "10 of 10"),
    "19.9 dB, and heard as well": (
        [*order(0, 10, snr=[19.9] * 10, stoi=0.99), *random_keys()], "speech", Word.BROKEN, "median SNR 20 dB"),
    "19.9 dB, where nothing says how it is heard": (
        [*order(0, 10, snr=[19.9] * 10, stoi=np.nan), *random_keys()], "speech", Word.WEAKENED, "median SNR 19.9 dB"),
    "20.1 dB": ([*order(0, 10, snr=[20.1] * 10), *random_keys()], "speech", Word.BROKEN, "median SNR 20 dB"),
    "as good as the correct key on noisy ciphertext": (
        [*order(0, 10, snr=[11.5] * 10, snr_correct=12.0, stoi_correct=0.8),
         *random_keys(snr_correct=12.0, stoi_correct=0.8)],
        "speech", Word.BROKEN, "median SNR 12 dB"),
    "silence is not better than random keys": (
        [*order(0, 10, snr=[0.0] * 10, stoi=np.nan), *random_keys()], "speech", Word.NOT_SHOWN, "0 of 10"),
    "a little louder than random keys": (
        [*order(0, 10, snr=[2.0] * 10), *random_keys()], "speech", Word.NOT_SHOWN, "0 of 10"),
    "half decrypted": ([*order(0, 10, snr=[8.0] * 10), *random_keys()], "speech", Word.WEAKENED, "random keys 0.0 dB"),
    "more intelligible": (
        [*order(0, 10, snr=[0.0] * 10, stoi=0.75), *random_keys()], "speech", Word.WEAKENED, "STOI 0.75"),
    "random keys decrypt": (
        [*order(10, 10), *random_keys(snr=[25.0] * 100)], "speech", Word.OPEN, "100 of 100 random keys decrypt"),
}  # fmt: skip


@pytest.mark.parametrize("name", KEYS)
def test_the_key_and_the_speech(tmp_path, name):
    table, asset, word, words = KEYS[name]
    cell = judged(tmp_path / "a", table).cell(asset, EAVESDROPPER)
    assert cell.word is word and words in cell.sentence, cell.sentence


GOOD, BAD = order(10, 10, error=9.2), order(0, 10, error=25.0)
NULL = random_keys(error=27.0)
# A model that is attacked: (rows, plain, incorrect, further settings, verdict on its use, words of the sentence).
USES: dict[str, tuple[Any, ...]] = {
    "unlocked": (GOOD, 9.0, spread(27), {}, Word.BROKEN, "EER 9.2 % (plain 9.0 %)"),
    "not unlocked": (BAD, 9.0, spread(27), {}, Word.NOT_SHOWN, "0 of 10"),
    "better than random keys": (order(0, 10, error=15.0), 9.0, spread(27), {}, Word.WEAKENED, "median error 15.0 %"),
    "incorrect keys as good as plain": (GOOD, 9.0, spread(12.1, width=1), {}, Word.OPEN, "median EER of 12.1 %"),
    "incorrect keys better than plain": (BAD, 9.0, spread(7, width=1), {}, Word.OPEN, "median EER of 7.0 %"),
    "incorrect keys perhaps as good": (BAD, 9.0, spread(13, width=8), {}, Word.UNDECIDED, "more --keys decide"),
    "three incorrect keys as good": (BAD, 9.0, [9.0, 9.0, 9.5], {}, Word.UNDECIDED, "more --keys decide"),
    "all three incorrect keys there are": (
        BAD, 9.0, [9.0, 9.0, 9.5], {"manifest": {"key_space": 3, "enumerated": True}}, Word.OPEN, "Without any attack"),
    "perhaps open, and weakened by an attack": (
        order(0, 10, error=15.0), 9.0, spread(13, width=8), {}, Word.WEAKENED, "median error 15.0 %"),
    "incorrect keys at 91 %": (BAD, 9.0, spread(91.5, width=1), {}, Word.OPEN, "median effective EER of 8.5 %"),
    "an attack at 91 %": (order(0, 10, error=91.0), 9.0, spread(27), {}, Word.BROKEN, "10 of 10 keys"),
    "an attack at 85 %": (order(0, 10, error=85.0), 9.0, spread(27), {}, Word.WEAKENED, "median error 15.0 %"),
    "a recogniser at 91 %": (
        order(0, 10, error=91.0), 9.0, spread(95), {"metric": "wer", "task": "asr"}, Word.NOT_SHOWN, "0 of 10 keys"),
    "plain at chance": (GOOD, 48.0, spread(49, width=0.5), {}, Word.UNDECIDED, "48.0 % is near chance"),
    "one target trial": (GOOD, 9.0, spread(27), {"trials": (1, 50)}, Word.UNDECIDED, "steps of 1e+02 points"),
    "steps of two points": (GOOD, 9.0, spread(27), {"trials": (50, 50)}, Word.UNDECIDED, "more than the limit of 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", USES)
def test_the_use_of_the_model(tmp_path, name):
    table, plain, incorrect, more, word, words = USES[name]
    found = judged(tmp_path / "a", [*table, *NULL], plain=plain, incorrect=incorrect, **more)
    cell = found.cell("use", EAVESDROPPER)
    assert cell.word is word and words in cell.sentence, cell.sentence


# Guesses: (plain, incorrect, further settings, verdict for who may ask the model, words of the sentence).
ALL_24 = {"manifest": {"key_space": 23, "enumerated": True}}
GUESSES: dict[str, tuple[Any, ...]] = {
    "8 of 100": (9.0, [9.5] * 8 + [27.0] * 92, {}, Word.BROKEN,
                 "8 of 100 incorrect keys [3.5, 15 %] come within 1 point of plain: about 12 guesses on aver"),
    "3 of 1,000: by the lower end more than 1,000 guesses": (
        9.0, [9.5] * 3 + [27.0] * 997, {}, Word.UNDECIDED, "about 333 guesses [114, 1,615]; more keys must show"),
    "4 of 1,000": (9.0, [9.5] * 4 + [27.0] * 996, {}, Word.BROKEN, "about 250 guesses on average [98, 917]"),
    "1 of 100": (9.0, [9.5] + [27.0] * 99, {}, Word.UNDECIDED, "1 of 100 incorrect keys [0.025, 5.4 %] comes within 1"),
    "8 of 100 within five points": (9.0, [13.9] * 8 + [27.0] * 92, {}, Word.WEAKENED,
                                    "come within 5 points of plain; none within 1 point: about 12 guesses"),
    "3 of 100,000: rare for certain": (
        9.0, [9.5] * 3 + [27.0] * 99_997, {}, Word.NOT_SHOWN, "at least 11,406 guesses on average"),
    "none of nine": (9.0, spread(27, 9), {}, Word.UNDECIDED, "none of 9 incorrect keys"),
    "none of 298": (9.0, spread(27, 298), {}, Word.UNDECIDED, "299 keys are needed to exclude that one in 100 does"),
    "none of 299": (9.0, spread(27, 299), {}, Word.NOT_SHOWN, "none of 299 incorrect keys [0, 1 %] comes within 5 "),
    "none of all 23: the correct one is the 24th": (
        9.0, spread(27, 23), ALL_24, Word.BROKEN,
        "none of 23 incorrect keys comes within 1 point of plain; all 24 keys can be tried: about 12 guesses"),
    "4 of all 23: five good ones": (
        9.0, [9.5] * 4 + [27.0] * 19, ALL_24, Word.BROKEN, "all 24 keys can be tried: about 4.2 guesses on average."),
    "none of 10 of the 23": (9.0, spread(27, 10), ALL_24, Word.BROKEN, "[0, 26 %] comes within 1 point of plain; all"),
    "none of all 5, which is no small sample": (
        9.0, spread(27, 5), {"manifest": {"key_space": 5, "enumerated": True}}, Word.BROKEN, "all 6 keys can be"),
    "none of all 1,998: 1,000 guesses on average": (
        9.0, spread(27, 1998), {"manifest": {"key_space": 1998, "enumerated": True}}, Word.BROKEN, "all 1,999 keys"),
    "none of all 1,999": (
        9.0, spread(27, 1999), {"manifest": {"key_space": 1999, "enumerated": True}}, Word.NOT_SHOWN,
        "none of 1,999 incorrect keys comes within 5 points of plain: at least 1,000 guesses on average"),
    "one of all 1,999": (
        9.0, [9.5] + [27.0] * 1998, {"manifest": {"key_space": 1999, "enumerated": True}}, Word.BROKEN,
        "1 of 1,999 incorrect keys comes within 1 point of plain: about 667 guesses"),
    "none of 100 of a million": (
        9.0, spread(27), {"manifest": {"key_space": 10**6, "enumerated": False}}, Word.UNDECIDED, "[0, 3 %]"),
    "a coarse error": (10.0, [10.0] * 8 + [27.0] * 92, {"trials": (14, 14)}, Word.UNDECIDED, "steps of 7.1 points"),
    "an error in steps of 2 points says nothing about 1, and something about 5": (
        10.0, [10.0] * 8 + [27.0] * 92, {"trials": (50, 50)}, Word.WEAKENED, "come within 5 points of plain: about 12"),
    "an error too coarse even for five points, and 24 keys": (
        10.0, [10.0] * 8 + [27.0] * 15, {"trials": (14, 14), **ALL_24}, Word.BROKEN, "at most 13 guesses"),
    "a coarse error and 24 keys": (
        10.0, [10.0] * 8 + [27.0] * 15, {"trials": (50, 50), **ALL_24}, Word.BROKEN, "at most 13 guesses"),
    "an EER of 91 %": (9.0, [91.0] * 8 + [70.0] * 92, {}, Word.BROKEN, "8 of 100 incorrect keys"),
    "a WER of 93 % of the plain model": (
        93.2, [93.0] * 50 + [99.0] * 350, {"metric": "wer", "task": "asr"}, Word.UNDECIDED, "WER of 93.2 % is near"),
    "perhaps open, and guessed for certain": (
        9.0, [9.5] * 54 + [25.0] * 46, {}, Word.BROKEN, "54 of 100 incorrect keys [44, 64 %]"),
}  # fmt: skip


@pytest.mark.parametrize("name", GUESSES)
def test_guessing_is_judged_by_the_keys_of_the_sweep(tmp_path, name):
    plain, incorrect, more, word, words = GUESSES[name]
    found = judged(tmp_path / "a", [*BAD, *NULL], plain=plain, incorrect=incorrect, **more)
    cell = found.cell("use", USER)
    assert cell.word is word and words in cell.sentence, cell.sentence
    assert cell.sentence.startswith("Guessing: ") or "near chance" in cell.sentence
    assert "Guessing" not in found.cell("use", EAVESDROPPER).sentence  # who has no answers


def test_an_attack_that_wants_a_key_is_not_said_to_want_none(tmp_path):
    found = judged(tmp_path / "a", [*BAD, *NULL], plain=9.0, incorrect=spread(27), trials=(50, 50))
    sentence = found.cell("use", EAVESDROPPER).sentence
    assert "without a key" not in sentence and "median EER 25.0 % (plain 9.0 %)" in sentence


# Attacks that want no key: (error, its interval, verdict on who speaks, words of the sentence); plain 9 %.
IDENTITIES = {
    "at the plain EER": (9.0, 7.0, 11.0, Word.BROKEN, "EER 9.0 % [7.0, 11.0 %] without a key (plain 9.0 %)"),
    "always wrong is as good": (91.0, 89.0, 93.0, Word.BROKEN, "EER 9.0 % [7.0, 11.0 %]"),
    "between": (25.0, 21.0, 29.0, Word.WEAKENED, "EER 25.0 %"),
    "good, from few speakers": (10.0, 1.0, 48.0, Word.UNDECIDED, "more speakers decide"),
    "half way, from few speakers": (31.0, 5.0, 49.5, Word.UNDECIDED, "from 5 to 50 %: more speakers decide"),
    "beyond half way, from few speakers": (35.0, 20.0, 50.0, Word.UNDECIDED, "from 20 to 50 %"),
    "half way, nearly clear of chance": (30.0, 12.0, 47.0, Word.UNDECIDED, "from 12 to 47 %"),
    "beyond half way": (38.0, 30.0, 47.0, Word.NOT_SHOWN, "EER 38.0 %"),
    "at chance": (47.0, 43.0, 51.0, Word.NOT_SHOWN, "EER 47.0 %"),
    "on both sides of chance": (52.0, 47.0, 57.0, Word.NOT_SHOWN, "EER 48.0 % [43.0, 53.0 %]"),
    "no interval": (9.0, np.nan, np.nan, Word.UNDECIDED, "no interval over speakers"),
}


@pytest.mark.parametrize("name", IDENTITIES)
def test_who_speaks(tmp_path, name):
    error, low, high, word, words = IDENTITIES[name]
    found = judged(tmp_path / "a", [*informed(error, low, high), *BAD, *NULL], plain=9.0, incorrect=spread(27))
    cell = found.cell("identity", INSIDER)
    assert cell.word is word and words in cell.sentence, cell.sentence
    assert found.cell("identity", EAVESDROPPER).word is Word.NOT_TRIED


def test_a_model_for_scenes_is_judged_on_its_use(tmp_path):
    """Accuracy of ten classes: plain errs in 20 %, a guesser in 90 %."""
    table = [*informed(24.0, 20.0, 28.0), *random_keys(error=85.0)]
    folder = write_attacks(tmp_path / "a", table, model="toy", task="asc")
    path = folder / "attacks/suite.json"
    path.write_text(path.read_text().replace('"asset": "identity"', '"asset": "use"'))
    classes = [f"class {i}" for i in range(10)]
    write_scores(folder, 80.0, [15.0] * 50, "accuracy", manifest={"classes": classes})
    cell = verdict(present(load_attacks(folder))).cell("use", INSIDER)
    assert cell.word is Word.BROKEN and "100 - accuracy 24.0 % [20.0, 28.0 %]" in cell.sentence, cell.sentence


def test_where_sounds_are_classified_there_is_no_speaker(tmp_path):
    table = [*order(10, 10, error=21.0), *random_keys(error=85.0)]
    folder = write_attacks(tmp_path / "a", table, model="toy", task="asc")
    write_scores(folder, 80.0, [15.0] * 50, "accuracy", manifest={"classes": [str(i) for i in range(10)]})
    found = verdict(present(load_attacks(folder)))
    assert found.cell("speech", EAVESDROPPER).word is Word.BROKEN
    assert {cell.word for cell in found.cells if cell.asset == "identity"} == {Word.NOT_APPLICABLE}


def test_who_has_no_ciphertext_decrypts_none(tmp_path):
    folder = write_attacks(tmp_path / "a", [*order(10, 10), *random_keys()])
    path = folder / "attacks/suite.json"
    path.write_text(path.read_text().replace('"needs": ["ciphertext"]', '"needs": ["answers"]'))
    found = verdict(present(load_attacks(folder)))
    assert found.cell("key", USER).word is found.cell("speech", "provider").word is Word.BROKEN
    for asset in ("speech", "identity"):
        cell = found.cell(asset, USER)
        assert cell.word is Word.NOT_APPLICABLE and "has no ciphertext; with the key" in cell.sentence


def test_who_speaks_is_open_where_the_speech_is(tmp_path):
    found = judged(tmp_path / "a", [*order(10, 10), *random_keys(snr=[25.0] * 100)])
    assert found.cell("identity", EAVESDROPPER).word is found.cell("speech", EAVESDROPPER).word is Word.OPEN


def test_linking_needs_ciphertext_of_many_and_no_names(tmp_path):
    found = judged(tmp_path / "a", [*order(0, 10), *random_keys()], known={"linked": ["ciphertext of many"]})
    cell = found.cell("identity", EAVESDROPPER)
    assert cell.word is Word.NOT_TRIED and "wrongkey attack linked" in cell.sentence
    untried = judged(tmp_path / "b", [*order(0, 10), *random_keys()]).cell("identity", EAVESDROPPER)
    assert untried.word is Word.NOT_TRIED and "No attack on who speaks is known" in untried.sentence


def test_an_attack_that_broke_down_every_time_is_named(tmp_path):
    down = rows("told", "4 known blocks, clean", [LOST] * 10, failed="LinAlgError: no")
    more = rows("told", "8 known blocks, clean", [LOST] * 10, failed="")
    lost = "told (4 known blocks, clean) broke down in 10 of 10 trials (LinAlgError: no): repair it."
    room = "someone in the room"
    found = judged(tmp_path / "a", [*down, *order(0, 10, failed=""), *random_keys(failed="")])
    cell = found.cell("key", room)
    assert cell.word is Word.UNDECIDED and cell.sentence.endswith(lost) and "0 of 10 keys" in cell.sentence
    assert found.cell("key", EAVESDROPPER).word is Word.NOT_SHOWN  # which cannot run it
    alone = judged(tmp_path / "b", [*down, *random_keys(failed="")]).cell("key", room)
    assert alone.word is Word.UNDECIDED and alone.sentence == lost
    other = judged(tmp_path / "c", [*down, *more, *random_keys(failed="")]).cell("key", room)
    assert other.word is Word.NOT_SHOWN  # it ended in another case
    broken = judged(tmp_path / "d", [*down, *order(10, 10, failed=""), *random_keys(failed="")]).cell("key", room)
    assert broken.word is Word.BROKEN


def test_a_model_whose_training_broke_down_is_named(tmp_path):
    table = informed(np.nan, np.nan, np.nan)
    table[0]["failed"] = "RuntimeError: no"
    found = judged(tmp_path / "a", [*table, *random_keys(error=27.0, failed="")], plain=9.0, incorrect=spread(27))
    cell = found.cell("identity", INSIDER)
    assert cell.word is Word.UNDECIDED and "broke down in 1 of 1 trials (RuntimeError: no)" in cell.sentence


def test_who_decrypts_hears_who_speaks(tmp_path):
    found = judged(tmp_path / "a", [*order(10, 10), *random_keys()])
    assert found.cell("identity", EAVESDROPPER).word is Word.BROKEN
    assert "decrypted speech tells who speaks" in found.cell("identity", EAVESDROPPER).sentence


def test_a_case_counts_for_every_adversary_who_has_what_it_needs(tmp_path):
    table = [*rows("told", "4 known blocks, clean", [FOUND] * 10), *order(0, 10), *random_keys()]
    found = judged(tmp_path / "a", table, known={"guess": ["answers"]}, obstacles=["linked"])
    words = {cell.adversary: cell.word for cell in found.cells if cell.asset == "key"}
    assert words["someone in the room"] is words["borrowed device"] is Word.BROKEN
    assert words["eavesdropper"] is words["provider"] is Word.NOT_SHOWN
    assert words[USER] is Word.NOT_APPLICABLE and "name a model" in found.cell("key", USER).sentence
    assert found.cell("identity", INSIDER).word is Word.NOT_APPLICABLE  # the one attack on it has an obstacle
    assert found.cell("use", EAVESDROPPER).word is Word.NOT_APPLICABLE  # no model


def test_needs_are_those_of_the_case(tmp_path):
    folder = write_attacks(tmp_path / "a", [*order(10, 10), *random_keys()])
    path = folder / "attacks/suite.json"
    text = path.read_text().replace('"needs": ["ciphertext"]', '"needs": ["chosen plaintext"]')
    path.write_text(text)
    assert verdict(present(load_attacks(folder))).cell("key", EAVESDROPPER).word is Word.NOT_TRIED
    cases = '"cases": {"5 s of ciphertext": {"needs": ["ciphertext"]}}, "needs": ["chosen plaintext"]'
    path.write_text(text.replace('"needs": ["chosen plaintext"]', cases))
    assert verdict(present(load_attacks(folder))).cell("key", EAVESDROPPER).word is Word.BROKEN


def test_an_error_of_28_trials_that_equals_plain_by_luck_unlocks_nothing(tmp_path):
    """0 of 1 keys at -2 dB once broke the use of the model: the EER of 14 + 14 trials moves in steps of 7 points."""
    table = [*rows("order", "as it is", [1.3], snr=[-2.0], error=7.1), *random_keys(error=50.0)]
    found = judged(tmp_path / "a", table, plain=7.1, incorrect=spread(40), trials=(14, 14))
    cell = found.cell("use", EAVESDROPPER)
    assert cell.word is Word.UNDECIDED and "steps of 7.1 points" in cell.sentence
    fine = judged(tmp_path / "b", table, plain=7.1, incorrect=spread(40))  # and one trial breaks nothing either
    assert fine.cell("use", EAVESDROPPER).word is Word.UNDECIDED
    assert {cell.word for cell in found.cells} <= {Word.UNDECIDED, Word.NOT_TRIED, Word.NOT_APPLICABLE}


def test_speech_decrypted_to_the_last_bit_is_called_exact(tmp_path):
    """Few trials among many cases: weakened by the SNR, whose cap of 150 dB nobody can place."""
    others = [row for i in range(20) for row in rows("order", f"{i + 10} s of ciphertext", [LOST] * 3)]
    found = judged(tmp_path / "a", [*order(3, 3), *others, *random_keys(20, snr=[0.5] * 20)])
    sentence = found.cell("speech", EAVESDROPPER).sentence
    assert "decrypted speech is exact" in sentence and "150" not in sentence


def test_a_variant_that_needs_no_other_speech_is_the_cheaper_break(tmp_path):
    """Both variants break; the verdict names what the cheaper one needs, and an adversary who has just that."""
    alone = "no other speech, 5 s of ciphertext"
    table = [
        *order(10, 10),
        *rows("order", alone, [FOUND] * 10, seconds=5.0, given_variant="no other speech"),
        *random_keys(),
    ]  # fmt: skip
    folder = write_attacks(tmp_path / "a", table)
    path = folder / "attacks/suite.json"
    cases = f'"needs": ["ciphertext", "other speech"], "cases": {{"{alone}": {{"needs": ["ciphertext"]}}}}'
    path.write_text(path.read_text().replace('"needs": ["ciphertext"]', cases))
    cell = verdict(present(load_attacks(folder))).cell("speech", EAVESDROPPER)
    assert cell.word is Word.BROKEN and present(cell.case).outcome.needs == ("ciphertext",)
    assert cell.sentence.startswith(f"order ({alone}) decrypts")


def test_the_verdict_names_the_cheapest_attack_that_breaks(tmp_path):
    table = [
        *rows("told", "4 known blocks, clean", [FOUND] * 10),
        *rows("order", "2 s of ciphertext", [LOST] * 10, seconds=2.0),
        *rows("order", "5 s of ciphertext", [FOUND] * 8 + [LOST] * 2, seconds=5.0),
        *rows("order", "10 s of ciphertext", [FOUND] * 10, seconds=10.0),
        *random_keys(),
    ]
    found = judged(tmp_path / "a", table)
    assert found.cell("key", "borrowed device").sentence.startswith("order (5 s of ciphertext) finds 8 of 10 keys")
    assert found.sentence.startswith(
        "Broken: the key, the speech, who speaks; does not apply: the use of the model. Order"
    )
    assert found.sentence.endswith("Adversary: eavesdropper.")


def test_more_cases_need_more_evidence(tmp_path):
    """Three of ten keys are enough for the only case of a run, and not for the best of sixty."""
    alone = judged(tmp_path / "alone", [*order(3, 10), *random_keys()])
    assert alone.cell("key", EAVESDROPPER).word is Word.BROKEN
    others = [
        row for i in range(60) for row in rows("order", f"{i + 10} s of ciphertext", [LOST] * 10, seconds=i + 10.0)
    ]
    among = judged(tmp_path / "among", [*order(3, 10), *others, *random_keys()])
    assert among.cell("key", EAVESDROPPER).word is Word.UNDECIDED


def test_verdicts_are_written_for_programs(tmp_path):
    folder = write_attacks(tmp_path / "a", [*order(14, 30), *random_keys()])
    found = present(write_verdicts(folder))
    read = read_verdicts(folder)
    assert read["headline"] == found.sentence and read["null_trials"] == 100 and read["alpha"] == 0.05
    cell = next(cell for cell in read["cells"] if (cell["asset"], cell["adversary"]) == ("key", EAVESDROPPER))
    assert (cell["verdict"], cell["case"]["attack"], cell["case"]["hits"]) == ("broken", "order", 14)
    assert cell["case"]["share_low"] == pytest.approx(0.302, abs=0.001) and cell["case"]["p_holm"] < 1e-6
    assert len(read["cells"]) == 28 and len(read["cases"]) == 2
    assert load_attacks(folder) is not None  # and the folder reads as before
    path = folder / "attacks/verdicts.json"
    path.write_text(path.read_text().replace('"alpha": 0.05', '"alpha": "small"'))
    with pytest.raises(BadInput, match=r"verdicts\.json is broken \(alpha"):
        read_verdicts(folder)


def test_victims_who_are_decrypted_easily_weaken_nothing(tmp_path):
    """Random keys reach 9 dB with the first ten of forty victims, 5 dB with the others; so does the attack."""
    rng = np.random.default_rng(0)

    def table(n):
        victims = [i % 40 for i in range(n)]
        levels = [(9.0 if victim < 10 else 5.0) + rng.normal() for victim in victims]
        return {"snr": levels, "stoi": np.nan, "victim": [f"v{victim}" for victim in victims]}

    for run in range(20):
        found = judged(tmp_path / str(run), [*order(0, 10, **table(10)), *random_keys(**table(100))])
        assert found.cell("speech", EAVESDROPPER).word is Word.NOT_SHOWN
    better = {**table(10), "snr": [14.0] * 10}
    found = judged(tmp_path / "better", [*order(0, 10, **better), *random_keys(**table(100))])
    assert found.cell("speech", EAVESDROPPER).word is Word.WEAKENED


def test_what_decides_is_written_too(tmp_path):
    """A case that is weakened by its SNR: no key falls, and the p of what was measured says why."""
    folder = write_attacks(tmp_path / "a", [*order(0, 10, snr=[8.0] * 10), *random_keys(100, 3)])
    write_verdicts(folder)
    case = next(case for case in read_verdicts(folder)["cases"] if case["asset"] == "speech")
    assert (case["verdict"], case["hits"], case["null_hits"], case["null_trials"]) == ("weakened", 0, 3, 100)
    assert case["p"] == case["p_holm"] == 1 and case["ciphertext_seconds"] == 5
    snr, stoi = case["effects"]
    assert (snr["column"], snr["median"], snr["null_median"], snr["material"]) == ("snr", 8, 0, True)
    assert snr["p"] < snr["p_holm"] < 0.001 and not stoi["material"]
    with (folder / "attacks/verdicts.json").open() as file:
        assert "seconds" not in json.load(file)["cases"][0]


def test_verdicts_of_a_folder_without_rows_are_none(tmp_path):
    (tmp_path / "attacks").mkdir()
    assert write_verdicts(tmp_path) is None and not (tmp_path / "attacks/verdicts.json").exists()
    with pytest.raises(BadInput, match="is not a file"):
        read_verdicts(tmp_path)


def test_verdicts_to_fail_on_are_listed_the_worst_first():
    """In the help and in the sentence of an error alike; "open" is short for its whole phrase, which works too."""
    listed = "open, broken, weakened, undecided, not-shown-to-break, not-tried, does-not-apply"
    assert ", ".join(FAIL_IF) == listed and tuple(FAIL_IF.values()) == SEVERITY
    with pytest.raises(BadInput, match=listed):
        fail_words("brokn")
    assert fail_words("open") == fail_words("open without any attack") == {Word.OPEN}
    page = (Path(__file__).parents[3] / "docs/threat-model.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| \*\*(.+)\*\* \|", page, flags=re.M) == list(SEVERITY)


def test_verdicts_to_fail_on_are_those_named_and_worse_ones():
    assert fail_words("broken") == {Word.OPEN, Word.BROKEN}
    assert fail_words("weakened") == fail_words("broken, weakened,open, ") == set(SEVERITY[:3])
    assert fail_words("undecided") == {*fail_words("weakened"), Word.UNDECIDED}
    assert fail_words("not-shown-to-break") == fail_words("not shown  to break") == set(SEVERITY[:5])
    with pytest.raises(BadInput, match="--fail-if brokn is not a verdict: name one or more of open, broken, weakened"):
        fail_words("broken,brokn")
    with pytest.raises(BadInput, match="--fail-if names no verdict: name one or more of open, broken"):
        fail_words(" ,")


def test_an_adversary_keeps_the_earlier_name():
    named = adversaries_named("someone-in-the-room")
    assert named == {"someone in the room"}
    assert adversaries_named("somebody-in-the-room") == adversaries_named("Somebody in the room") == named
    with pytest.raises(BadInput) as error:
        adversaries_named("eve")
    assert "someone-in-the-room" in str(error.value) and "somebody" not in str(error.value)


def test_adversaries_are_named_with_hyphens_or_spaces():
    assert len(adversaries_named(None)) == 7
    assert adversaries_named("eavesdropper, borrowed-device,insider with names,") == {
        "eavesdropper", "borrowed device", "insider with names"
    }  # fmt: skip
    with pytest.raises(BadInput, match="--adversary eve is unknown: name one or more of unauthorised-user, eaves"):
        adversaries_named("eve")
    with pytest.raises(BadInput, match="--adversary names no adversary"):
        adversaries_named("")
