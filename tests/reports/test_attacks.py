"""Attacks read back: verdicts, tables and curves of folders whose rows are known."""

import json

import numpy as np
import pandas as pd
import pytest

from evaluation.tables import FORMAT, identity_digest, write_table
from keys.errors import BadInput
from reports import write_report
from reports.attack_figures import block_size_curves, seconds_figure
from reports.attacks import attack_table, find_attacks, load_attacks, measurement_table, price, verdict

NEEDS = {"order": ["ciphertext"], "told": ["known plaintext"], "linked": ["ciphertext"]}


def rows(attack, given, errors, *, snr=None, seconds=None, error=np.nan, measured=None):
    snr = snr if snr is not None else [150.0 if value < 0.1 else 3.0 for value in errors]
    return [
        {
            "attack": attack,
            "family": {"told": 2, "order": 5, "linked": 8}[attack],
            "trial": trial,
            "given": given,
            "given_seconds": seconds,
            "given_variant": "",
            "key_error": value,
            "snr": snr[trial],
            "stoi": 0.5,
            "error": error,
            "queries": 0,
            "seconds": 2.0,
            "measured": json.dumps(measured or {}),
        }
        for trial, value in enumerate(errors)
    ]


def write_attacks(folder, table, *, scheme="rom", block_size=4, model=None, task="asv", obstacles=()):
    (folder / "attacks").mkdir(parents=True)
    about = {
        name: {"family": 5, "adversary": f"Does {name}.", "needs": needs, "obstacle": None}
        for name, needs in NEEDS.items()
    }
    about |= {name: {"family": 4, "adversary": "", "needs": [], "obstacle": "No model."} for name in obstacles}
    setting = {
        "scheme": scheme,
        "blocks": "samples",
        "block_size": block_size,
        "corpus": "toy",
        "victims": 2,
        "others": 2,
    }
    suite = {"format": "wrongkey-attacks/1", "setting": setting | {"model": model, "task": task if model else None}}
    suite |= {"ended": "2026-11-24", "attacks": about, "sessions": [{"command": "wrongkey attack suite"}]}
    (folder / "attacks/suite.json").write_text(json.dumps(suite))
    for name, part in pd.DataFrame(table).groupby("attack"):
        part.to_parquet(folder / f"attacks/{name}.parquet")
    return folder


def write_scores(folder, plain, incorrect, metric="eer", **more):
    """The sweep that the harness runs first; one key's score for each value. more: of other metrics, by name."""
    setting = {"task": "asv", "model": "toy", "corpus": "toy", "scheme": "rom", "block_size": 4, "dims": 1}
    setting |= {"key_seed": 0, "ci_low": 0.0, "ci_high": 100.0, "n": 10}
    keys, conditions = [], []
    for name, (alone, values) in {metric: (plain, incorrect), **more}.items():
        row = {**setting, "metric": name}
        conditions.append({**row, "condition": "plain", "key_index": -1, "value": alone})
        keys += [{**row, "condition": "incorrect", "key_index": i, "value": v} for i, v in enumerate(values)]
    (folder / "scores").mkdir()
    for name, table in {"conditions": conditions, f"incorrect-00000000-{len(incorrect):08d}": keys}.items():
        write_table(folder / f"scores/{name}.parquet", pd.DataFrame(table), "", "scores")


def broken_and_not():
    return [
        *rows("told", "4 known blocks, clean", [0.0, 0.0]),
        *rows("order", "2 s of ciphertext", [1.4, 1.3], seconds=2.0),
        *rows("order", "5 s of ciphertext", [0.01, 1.3], seconds=5.0),
        *rows("order", "10 s of ciphertext", [0.01, 0.02], seconds=10.0),
        *rows("linked", "all ciphertext", [np.nan, np.nan], snr=[np.nan] * 2, measured={"EER, %": 12.5}),
    ]


def test_the_verdict_names_the_attack_that_needs_least_and_its_smallest_amount(tmp_path):
    run = load_attacks(write_attacks(tmp_path / "a", broken_and_not()))
    found = verdict(run)
    assert found.broken and found.label == "speech, ROM, M = 4"
    assert found.sentence.startswith("broken by order (5 s of ciphertext): 1 of 2 keys")
    assert found.sentence.endswith("Also by told. Few trials: 2.")


def test_nothing_broken_is_said_to_be_no_proof(tmp_path):
    run = load_attacks(write_attacks(tmp_path / "a", rows("order", "2 s of ciphertext", [1.4, 1.2], seconds=2.0)))
    found = verdict(run)
    assert not found.broken and "no proof of safety" in found.sentence


def test_a_model_that_is_unlocked_counts_as_broken_and_one_point_is_the_limit(tmp_path):
    table = rows("order", "2 s of ciphertext", [1.4, 1.2], seconds=2.0, error=8.9)
    folder = write_attacks(tmp_path / "a", table, model="toy")
    write_scores(folder, 8.0, [30.0, 40.0])
    run = load_attacks(folder)
    assert verdict(run).broken and "EER 8.9 % (plain 8.0 %)" in verdict(run).sentence
    table = rows("order", "2 s of ciphertext", [1.4, 1.2], seconds=2.0, error=9.1)
    folder = write_attacks(tmp_path / "b", table, model="toy")
    write_scores(folder, 8.0, [30.0, 40.0])
    assert not verdict(load_attacks(folder)).broken
    assert load_attacks(folder).error_under("incorrect") == 35.0


def test_errors_are_of_the_metric_that_speaks_for_the_sweep(tmp_path):
    folder = write_attacks(
        tmp_path / "a", rows("order", "2 s of ciphertext", [1.4], error=8.9), model="toy", task="asr"
    )
    write_scores(folder, 100.0, [100.0], metric="wer", cer=(8.0, [70.0]))
    assert (load_attacks(folder).error_name, load_attacks(folder).error_under("plain")) == ("WER", 100.0)
    (folder / "manifest.json").write_text(json.dumps({"format": "wrongkey-run/1", "config": {"metric": "cer"}}))
    run = load_attacks(folder)
    assert (run.error_name, run.error_under("plain"), run.error_under("incorrect")) == ("CER", 8.0, 70.0)


def test_speech_that_is_decrypted_counts_though_the_key_is_not_found(tmp_path):
    table = rows("order", "2 s of ciphertext", [0.6, 0.6], snr=[20.0, 25.0], seconds=2.0)
    assert verdict(load_attacks(write_attacks(tmp_path / "a", table))).broken


def test_needs_are_ordered_by_the_most_demanding_one():
    needs = [["known plaintext"], ["ciphertext", "other speech"], ["ciphertext"], ["encrypted model"]]
    ordered = sorted(needs, key=price)
    assert ordered == [["ciphertext"], ["ciphertext", "other speech"], ["encrypted model"], ["known plaintext"]]


def test_tables_hold_shares_with_intervals_and_what_wants_no_key(tmp_path):
    run = load_attacks(write_attacks(tmp_path / "a", broken_and_not()))
    table = attack_table(run).set_index("attack")
    assert table.loc["told", "keys recovered"] == "2 of 2 [34, 100 %]"  # Wilson: 2 of 2 is no certainty
    assert table.loc["order", "given"] == "5 s of ciphertext" and "linked" not in table.index
    assert measurement_table(run).to_dict("records")[0]["median"] == "12.5"


def test_curves_are_drawn_where_there_are_points(tmp_path):
    four = load_attacks(write_attacks(tmp_path / "four", broken_and_not()))
    eight = load_attacks(write_attacks(tmp_path / "eight", broken_and_not(), block_size=8))
    shares = seconds_figure([four]).axes[0].lines
    assert [list(line.get_ydata()) for line in shares] == [[0.0, 50.0, 100.0]]
    assert block_size_curves([four]) is None
    assert {line.get_label() for line in block_size_curves([four, eight]).axes[0].lines} == {"order, ROM"}
    nothing = load_attacks(write_attacks(tmp_path / "c", rows("told", "4 known blocks, clean", [0.0])))
    assert seconds_figure([nothing]) is None


def test_a_report_of_attacks_alone_shows_verdicts_and_what_does_not_apply(tmp_path):
    write_attacks(tmp_path / "runs/a", broken_and_not(), obstacles=["public-model"])
    page = write_report([], tmp_path / "report.html", attacks=find_attacks([tmp_path / "runs"])).read_text()
    assert "broken by order (5 s of ciphertext)" in page and "No model." in page
    assert "1 attacks of the suite do not apply" not in page and "1 attack of the suite does not apply" in page
    assert (tmp_path / "report-figures/attacks-seconds.png").is_file()


def test_broken_files_are_named(tmp_path):
    folder = write_attacks(tmp_path / "a", broken_and_not())
    (folder / "attacks/order.parquet").write_bytes(b"nothing")
    with pytest.raises(BadInput, match=r"order\.parquet is broken"):
        load_attacks(folder)
    (folder / "attacks/suite.json").write_text("{}")
    with pytest.raises(BadInput, match="names no format"):
        load_attacks(folder)
    assert load_attacks(tmp_path) is None


@pytest.mark.parametrize(
    "change",
    [
        {"setting": []},
        {"setting": {"block_size": "four"}},
        {"attacks": {"order": {"needs": "ciphertext"}}},
        {"attacks": {"order": {"obstacle": 3}}},
        {"sessions": {}},
        {"ended": 5},
    ],
)
def test_a_suite_of_another_shape_is_one_sentence(tmp_path, change):
    path = write_attacks(tmp_path / "a", broken_and_not()) / "attacks/suite.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(BadInput, match=rf"suite\.json is broken \({next(iter(change))}"):
        load_attacks(tmp_path / "a")


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("measured", "{", "what it measured"),
        ("measured", "[1]", "what it measured"),
        ("snr", "loud", "numbers"),
        ("family", 5.5, "numbers"),
        ("trial", 0, "twice"),
        ("attack", "told", "rows of told"),
        ("given", 3, "no text"),
    ],
)
def test_rows_that_no_attack_made_are_one_sentence(tmp_path, column, value, said):
    path = write_attacks(tmp_path / "a", broken_and_not()) / "attacks/order.parquet"
    pd.read_parquet(path).assign(**{column: value}).to_parquet(path)
    with pytest.raises(BadInput, match=rf"order\.parquet is broken .*{said}"):
        load_attacks(tmp_path / "a")


def test_older_attacks_are_shown_with_a_caution(tmp_path):
    """And those with a checksum without one, as long as it fits."""
    folder = write_attacks(tmp_path / "a", broken_and_not())
    assert "without checksums" in load_attacks(folder).cautions[0]
    page = write_report([], tmp_path / "report.html", attacks=find_attacks([folder])).read_text()
    assert "without checksums" in page
    path = folder / "attacks/suite.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"tables": FORMAT, "identity": {"seed": 3}}))
    for table in (folder / "attacks").glob("*.parquet"):
        write_table(table, pd.read_parquet(table), identity_digest({"seed": 3}), "attack")
    assert load_attacks(folder).cautions == ()
    path.write_text(json.dumps(json.loads(path.read_text()) | {"identity": {"seed": 4}}))
    with pytest.raises(BadInput, match="from another run"):
        load_attacks(folder)
