"""Which sweeps and attacks stand in one row: the same keys, front end and model."""

from tests.reports.attack_folders import random_keys
from tests.reports.board.test_cells import EAVESDROPPER, KNOWN, PROVIDER, attacks, cells, order, sweep
from wrongkey.reports.board import State, board

RAW = {"front_end": "waveform", "sample_rate": 16_000}
RAN = "Attacks on raw speech do not count for"


def spoken(folder, **setting):
    table = [*order(10, 10), *random_keys()]
    return attacks(folder, table, block_size=3, known=KNOWN, setting=setting)


def test_an_attack_on_waveforms_counts_for_a_model_that_reads_them(make_run, tmp_path):
    shown = board([sweep(make_run, **RAW)], [spoken(tmp_path / "a")])
    assert len(shown.rows) == 1 and cells(shown)[EAVESDROPPER].state is State.BROKEN
    assert not any(RAN in caution for caution in shown.cautions)
    assert shown.rows[0].front_end == "waveform" and shown.rows[0].model == "RawNeXt"


def test_it_is_a_row_of_its_own_beside_a_model_with_a_front_end(make_run, tmp_path):
    shown = board([sweep(make_run, front_end="own", sample_rate=16_000)], [spoken(tmp_path / "a")])
    assert [row.model for row in shown.rows] == ["", "RawNeXt"]
    assert cells(shown, 0)[EAVESDROPPER].state is State.BROKEN
    assert cells(shown, 1)[EAVESDROPPER].state is State.NOT_TRIED
    assert f"{RAN} RawNeXt, which filters speech first or reads another rate." in shown.cautions


def test_of_older_folders_the_front_end_is_unknown(make_run, tmp_path):
    shown = board([sweep(make_run)], [spoken(tmp_path / "a")])
    assert [row.front_end for row in shown.rows] == ["waveform", "unknown"]
    assert f"{RAN} RawNeXt, of which nobody recorded whether speech is filtered first." in shown.cautions


def test_m_samples_at_another_rate_are_other_keys(make_run, tmp_path):
    shown = board([sweep(make_run, front_end="waveform", sample_rate=8_000)], [spoken(tmp_path / "a")])
    assert [row.model for row in shown.rows] == ["", "RawNeXt"]
    silent = board([sweep(make_run, "b", front_end="waveform")], [spoken(tmp_path / "c", rate=None)])
    assert len(silent.rows) == 2  # neither says its rate


def test_an_older_folder_takes_the_front_end_of_a_newer_one(make_run):
    shown = board([sweep(make_run, "old"), sweep(make_run, "new", **RAW)], [])
    assert [row.front_end for row in shown.rows] == ["waveform"]


def test_guesses_are_those_of_the_sweep_with_the_most_keys(make_run):
    """A second sweep, of other trials, has another plain error: their keys are not counted together."""
    many, few = [20.0] * 395 + [9.0] * 5, [9.0] * 40
    shown = board([sweep(make_run, "few", few), sweep(make_run, "many", many)], [])
    assert len(shown.rows) == 1 and shown.rows[0].facts.endswith("400 keys")
    assert "5 of 400 keys" in cells(shown)["unauthorised user"].sure


def test_what_is_missing_without_a_model_is_not_missing_for_a_model(make_run, tmp_path):
    """A suite on speech notes that attacks on models do not apply; of the model beside it they were not tried."""
    table = [*order(0, 30), *random_keys()]
    run = attacks(tmp_path / "a", table, block_size=3, known=KNOWN | {"told": ["encrypted model"]}, obstacles=["told"])
    cell = cells(board([sweep(make_run, **RAW)], [run]))[PROVIDER]
    assert cell.state is State.HELD and cell.caution == "Not tried: told, weights, ask."


def test_rows_are_in_the_order_of_what_they_are_about(make_run):
    results = [
        sweep(make_run, "a", task="asr", metric="wer"),
        sweep(make_run, "b", scheme="shuffling"),
        sweep(make_run, "c", scheme="rom", block_size=10),
        sweep(make_run, "d", scheme="rom", block_size=5),
        sweep(make_run, "e", scheme="rom", config={"variant": "test"}),
    ]
    shown = board(results, [])
    labels = [(row.task, row.label) for row in shown.rows]
    assert labels == [
        ("asv", "ROM, M = 3, only the test side"), ("asv", "ROM, M = 5"), ("asv", "ROM, M = 10"),
        ("asv", "Shuffling, M = 3"), ("asr", "ROM, M = 3"),
    ]  # fmt: skip
    anchors = [row.anchor for row in shown.rows]
    assert len(set(anchors)) == 5 and all(anchor.replace("-", "").isalnum() for anchor in anchors)


def test_the_plain_model_under_encrypted_waveforms_has_no_key_to_guess(make_run):
    assert board([sweep(make_run, correct=None, config={"variant": "waveform"})], []).rows == ()
