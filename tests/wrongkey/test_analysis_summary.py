"""The first sentences of analyses that have none of their own."""

from pathlib import Path

import pandas as pd
import pytest

from wrongkey.analysis_summary import sentences
from wrongkey.reports.analyses import Analysis


def described(name, rows, **about):
    return Analysis(Path(), name, about, pd.DataFrame(rows, columns=["method", "condition", "metric", "value"]))


def entry(kind, step, metric, median):
    return {"kind": kind, "step": step, "keys": 3, "metric": metric, "median": median, "min": 0.0, "max": 99.0}


def test_decryption_says_what_correct_near_and_incorrect_keys_give():
    summary = [
        entry("correct key", None, "eer", 3.6),
        entry("correct key", None, "snr", 150.0),
        entry("geodesic step", 0.01, "eer", 3.7),
        entry("geodesic step", 0.01, "snr", 40.0),
        entry("geodesic step", 1.0, "eer", 41.0),
        entry("incorrect key", None, "eer", 30.0),
        entry("incorrect key", None, "snr", -2.0),
    ]
    assert sentences(described("decryption", [], metric="eer", plain=3.6, summary=summary)) == [
        "Medians: correct key EER 3.6 %, decryption exact, incorrect key EER 30.0 %, SNR -2 dB, plain EER 3.6 %.",
        "Near keys: 0.01 of its length away EER 3.7 %, SNR 40 dB, 1 of its length away EER 41.0 %.",
    ]


@pytest.mark.parametrize("metric", [None, "unheard of"])
def test_decryption_without_a_known_metric_says_what_else_was_measured(metric):
    summary = [entry("correct key", None, "snr", 150.0), entry("geodesic step", 0.5, "eer", 3.7)]
    assert sentences(described("decryption", [], metric=metric, plain=3.6, summary=summary)) == [
        "Medians: correct key decryption exact."
    ]


def test_decryption_without_scores_of_the_metric_leaves_them_out():
    summary = [entry("correct key", None, "snr", 150.0), entry("incorrect key", None, "stoi", 0.1)]
    assert sentences(described("decryption", [], metric="eer", summary=summary, sentences=["Own."])) == [
        "Medians: correct key decryption exact.",
        "Own.",
    ]


def test_phase_says_how_intelligible_reconstructions_are():
    rows = [["pghi", "plain", "stoi", 0.98], ["pghi", "encrypted", "stoi", 0.3], ["pghi", "encrypted", "stoi", 0.5]]
    found = sentences(described("phase", [*rows, ["", "correct", "deviation", 0.0]]))
    assert found == ["pghi, median STOI: plain 0.98, encrypted 0.40."]


def test_leaks_say_what_ciphertext_shows_before_their_own_sentences():
    rows = [
        ["", "encrypted", "energy", 0.99],
        ["", "chance", "energy", 0.1],
        ["", "one key", "linkability", 21.0],
    ]
    assert sentences(described("leaks", rows, sentences=["Own."])) == [
        "Ciphertext shows the energy contour: median correlation 0.99 with plain speech (of another utterance 0.10).",
        "Two ciphertexts of one speaker under one key are told from others with EER 21.0 %.",
        "Own.",
    ]
