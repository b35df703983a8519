"""The first sentences of analyses that have none of their own."""

import json

import pandas as pd

from wrongkey.analysis_summary import sentences


def described(tmp_path, name, rows, **about):
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps({"format": "wrongkey-analysis/1", **about}))
    pd.DataFrame(rows, columns=["method", "condition", "metric", "value"]).to_parquet(path.with_suffix(".parquet"))
    return path


def test_decryption_says_what_correct_near_and_incorrect_keys_give(tmp_path):
    def entry(kind, step, metric, median):
        return {"kind": kind, "step": step, "keys": 3, "metric": metric, "median": median, "min": 0.0, "max": 99.0}

    summary = [
        entry("correct key", None, "eer", 3.6),
        entry("correct key", None, "snr", 150.0),
        entry("geodesic step", 0.01, "eer", 3.7),
        entry("geodesic step", 0.01, "snr", 40.0),
        entry("geodesic step", 1.0, "eer", 41.0),
        entry("incorrect key", None, "eer", 30.0),
        entry("incorrect key", None, "snr", -2.0),
    ]
    assert sentences(described(tmp_path, "decryption", [], metric="eer", plain=3.6, summary=summary)) == [
        "Medians: correct key EER 3.6 %, decryption exact, incorrect key EER 30.0 %, SNR -2 dB, plain EER 3.6 %.",
        "Near keys: 0.01 of its length away EER 3.7 %, SNR 40 dB, 1 of its length away EER 41.0 %.",
    ]


def test_phase_says_how_intelligible_reconstructions_are(tmp_path):
    rows = [["pghi", "plain", "stoi", 0.98], ["pghi", "encrypted", "stoi", 0.3], ["pghi", "encrypted", "stoi", 0.5]]
    found = sentences(described(tmp_path, "phase", [*rows, ["", "correct", "deviation", 0.0]]))
    assert found == ["pghi, median STOI: plain 0.98, encrypted 0.40."]


def test_leaks_say_what_ciphertext_shows_before_their_own_sentences(tmp_path):
    rows = [
        ["", "encrypted", "energy", 0.99],
        ["", "chance", "energy", 0.1],
        ["", "one key", "linkability", 21.0],
    ]
    assert sentences(described(tmp_path, "leaks", rows, sentences=["Own."])) == [
        "Ciphertext shows the energy contour: median correlation 0.99 with plain speech (of another utterance 0.10).",
        "Two ciphertexts of one speaker under one key are told from others with EER 21.0 %.",
        "Own.",
    ]
