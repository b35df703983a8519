"""Attacks read back: verdicts, tables and curves of folders whose rows are known."""

import json

import numpy as np
import pandas as pd
import pytest

from tests.narrow import present
from tests.reports.attack_folders import random_keys, rows, write_attacks, write_scores
from tests.reports.figures.drawn import heights
from wrongkey.errors import BadInput
from wrongkey.evaluation.run_folder.tables import FORMAT, identity_digest, write_table
from wrongkey.reports import write_report
from wrongkey.reports.attacks.rows import find_attacks, load_attacks
from wrongkey.reports.attacks.tables import attack_table, measurement_table, verdict_table
from wrongkey.reports.attacks.threats import price
from wrongkey.reports.attacks.verdicts import verdict
from wrongkey.reports.figures.attacks import block_size_curves, seconds_figure


def broken_and_not():
    return [
        *rows("told", "4 known blocks, clean", [0.0, 0.0]),
        *rows("order", "2 s of ciphertext", [1.4, 1.3], seconds=2.0),
        *rows("order", "5 s of ciphertext", [0.01, 1.3], seconds=5.0),
        *rows("order", "10 s of ciphertext", [0.01, 0.02], seconds=10.0),
        *rows("linked", "all ciphertext", [np.nan, np.nan], snr=[np.nan] * 2, measured={"EER, %": 12.5}),
    ]


def test_nothing_broken_is_said_to_be_no_proof(tmp_path):
    table = [*rows("order", "2 s of ciphertext", [1.4] * 10, seconds=2.0), *random_keys()]
    found = verdict(present(load_attacks(write_attacks(tmp_path / "a", table))))
    assert found.label == "speech, ROM, M = 4" and "does not prove safety" in found.sentence
    assert found.sentence.startswith("Not shown to break: the key, the speech; not tried: who speaks;")


def test_a_model_is_unlocked_within_one_point_of_plain(tmp_path):
    for name, error, word in (("a", 8.9, "broken"), ("b", 9.1, "weakened")):
        table = [*rows("order", "2 s of ciphertext", [1.4] * 10, seconds=2.0, error=error), *random_keys(error=35.0)]
        folder = write_attacks(tmp_path / name, table, model="toy")
        write_scores(folder, 8.0, [30.0] * 10 + [40.0] * 10)
        run = present(load_attacks(folder))
        cell = verdict(run).cell("use", "eavesdropper")
        assert cell.word == word and f"EER {error} % (plain 8.0 %)" in cell.sentence
        assert run.error_under("incorrect") == 35.0


def test_errors_are_of_the_metric_that_speaks_for_the_sweep(tmp_path):
    folder = write_attacks(
        tmp_path / "a", rows("order", "2 s of ciphertext", [1.4], error=8.9), model="toy", task="asr"
    )
    write_scores(folder, 100.0, [100.0], metric="wer", cer=(8.0, [70.0]))
    run = present(load_attacks(folder))
    assert (run.error_name, run.error_under("plain")) == ("WER", 100.0)
    (folder / "manifest.json").write_text(json.dumps({"format": "wrongkey-run/1", "config": {"metric": "cer"}}))
    run = present(load_attacks(folder))
    assert (run.error_name, run.error_under("plain"), run.error_under("incorrect")) == ("CER", 8.0, 70.0)


def test_needs_are_ordered_by_the_most_demanding_one():
    needs = [["known plaintext"], ["ciphertext", "other speech"], ["ciphertext"], ["encrypted model"]]
    ordered = sorted(needs, key=price)
    assert ordered == [["ciphertext"], ["ciphertext", "other speech"], ["encrypted model"], ["known plaintext"]]


def test_tables_hold_shares_with_intervals_and_what_wants_no_key(tmp_path):
    run = present(load_attacks(write_attacks(tmp_path / "a", broken_and_not())))
    table = attack_table(run, verdict(run).cases).set_index("attack")
    assert table.loc["told", "key or speech"] == "2 of 2 [34, 100 %]"  # Wilson: 2 of 2 is no certainty
    assert table.loc["order", "given"] == "10 s of ciphertext" and "linked" not in table.index
    assert table.loc["order", "verdict"] == "undecided"
    assert measurement_table(run).to_dict("records")[0]["median"] == "12.5"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("1 known blocks, clean", "1 known block, clean"),
        ("1 kernels of 16, 1 queries", "1 kernel of 16, 1 query"),
        ("21 known blocks, 16 bit", "21 known blocks, 16 bit"),
        ("11 kernels of 16, 1,001 queries", "11 kernels of 16, 1,001 queries"),
    ],
)
def test_one_thing_is_named_in_the_singular(given, words, tmp_path):
    run = present(load_attacks(write_attacks(tmp_path / "a", [*rows("told", given, [0.0]), *random_keys()])))
    assert attack_table(run, verdict(run).cases).set_index("attack").loc["told", "given"] == words


def test_tables_show_what_was_measured_and_no_other_columns(tmp_path):
    table = rows("order", "2 s of ciphertext", [0.5] * 4, snr=[11.0] * 4, snr_correct=12.0, snr_unseen=9.0, wer=40.0)
    table[3]["failed"] = "LinAlgError: no"
    run = present(load_attacks(write_attacks(tmp_path / "a", [*table, *random_keys(failed="")])))
    row = attack_table(run, verdict(run).cases).iloc[0]
    assert (row["below the correct key, dB"], row["WER, %"]) == ("1 [1, 1]", "40 [40, 40]")
    assert row["SNR of unseen speech, dB"] == "9 [9, 9]"
    assert row["key or speech"] == "3 of 3 [44, 100 %], 1 of 4 failed"  # 11 dB of 12
    clean = present(load_attacks(write_attacks(tmp_path / "b", broken_and_not())))
    assert not {"WER, %", "below the correct key, dB"} & set(attack_table(clean, verdict(clean).cases))


def test_rounding_errors_are_0_and_a_signal_without_noise_is_exact(tmp_path):
    table = rows("order", "2 s of ciphertext", [1.6e-15] * 3, snr=[150.0] * 3, snr_unseen=-0.2)
    table += rows("told", "1 known block", [1.4] * 3, snr=[-2.0, 20.0, 150.0])
    run = present(load_attacks(write_attacks(tmp_path / "a", [*table, *random_keys()])))
    found = attack_table(run, verdict(run).cases).set_index("attack")
    assert found.loc["order", ["key error", "SNR, dB"]].tolist() == ["0 [0, 0]", "exact"]
    assert found.loc["order", "SNR of unseen speech, dB"] == "0 [0, 0]"
    assert found.loc["told", "SNR, dB"] == "20 [9, 85]"


def test_words_are_a_table_of_assets_by_adversaries(tmp_path):
    run = present(load_attacks(write_attacks(tmp_path / "a", [*broken_and_not(), *random_keys()])))
    table = verdict_table(verdict(run)).set_index("Asset")
    assert list(table.index) == ["the key", "the speech", "the use of the model", "who speaks"]
    assert table.loc["the use of the model", "eavesdropper"] == "does not apply"


def test_curves_are_drawn_where_there_are_points(tmp_path):
    four = present(load_attacks(write_attacks(tmp_path / "four", broken_and_not())))
    eight = present(load_attacks(write_attacks(tmp_path / "eight", broken_and_not(), block_size=8)))
    shares = present(seconds_figure([four])).axes[0].lines
    assert [heights(line) for line in shares] == [[0.0, 50.0, 100.0]]
    assert block_size_curves([four]) is None
    assert {line.get_label() for line in present(block_size_curves([four, eight])).axes[0].lines} == {"order, ROM"}
    nothing = present(load_attacks(write_attacks(tmp_path / "c", rows("told", "4 known blocks, clean", [0.0]))))
    assert seconds_figure([nothing]) is None


def test_a_report_of_attacks_alone_shows_verdicts_and_what_does_not_apply(tmp_path):
    write_attacks(tmp_path / "runs/a", broken_and_not(), obstacles=["public-model"])
    page = write_report([], tmp_path / "report.html", attacks=find_attacks([tmp_path / "runs"])).read_text()
    assert "Undecided: the key, the speech" in page and "no baseline of random keys" in page and "No model." in page
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
        ("failed", 1, "not text"),
        ("snr_correct", "loud", "numbers"),
        ("given", 3, "not text"),
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
    assert "without checksums" in present(load_attacks(folder)).cautions[0]
    page = write_report([], tmp_path / "report.html", attacks=find_attacks([folder])).read_text()
    assert "without checksums" in page
    path = folder / "attacks/suite.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"tables": FORMAT, "identity": {"seed": 3}}))
    for table in (folder / "attacks").glob("*.parquet"):
        write_table(table, pd.read_parquet(table), identity_digest({"seed": 3}), "attack")
    assert present(load_attacks(folder)).cautions == ()
    path.write_text(json.dumps(json.loads(path.read_text()) | {"identity": {"seed": 4}}))
    with pytest.raises(BadInput, match="from another run"):
        load_attacks(folder)


def test_attacks_and_variants_of_one_scheme_are_distinguished(tmp_path):
    table = [
        *(row for s in (2.0, 5.0) for row in rows("order", f"{s:g} s", [0.0], seconds=s)),
        *(row for s in (2.0, 5.0) for row in rows("order", f"alone, {s:g} s", [0.0], seconds=s, given_variant="alone")),
    ]
    run = present(load_attacks(write_attacks(tmp_path / "a", table)))
    lines = present(seconds_figure([run])).axes[0].lines
    assert [line.get_label() for line in lines] == [f"{run.label}: order", f"{run.label}: order, alone"]
    assert len({line.get_marker() for line in lines}) == 2
