"""Which published values stand beside a run, and the sentence that says what differs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wrongkey.reports.metrics import get_metric
from wrongkey.reports.paper.published import differences, published_beside, published_table, published_values
from wrongkey.reports.runs import load_run, load_runs
from wrongkey.reports.statistics.key_statistics import summarise, summarise_all

MakeRun = Callable[..., Path]


def beside(folder: Path) -> dict[str, tuple[Any, ...]]:
    rows = published_beside(summarise(load_run(folder)))
    return {row.quantity: (row.source, row.published, row.ours) for row in rows}


@pytest.mark.parametrize(("block_size", "model", "variance"), [(3, "RawNeXt", 66.2), (5, "HuBERT5", 24.1)])
def test_variance_of_the_sweep(make_run: MakeRun, tmp_path: Path, block_size: int, model: str, variance: float) -> None:
    found = beside(make_run("a", [20.0, 30.0], block_size=block_size))
    assert found == {"variance of EER": ("Fig. 9", variance, pytest.approx(50.0))}
    (row,) = published_beside(summarise(load_run(tmp_path / "a")))
    assert f"The paper: {model} on VoxCeleb1" in row.differs


def test_rom_with_ten_has_both_the_table_and_the_sweep(make_run: MakeRun) -> None:
    found = beside(make_run("a", [20.0, 30.0], block_size=10))
    assert found["plain model, EER"] == ("Table I", 7.91, 7.9)
    assert found["correct key, EER"] == ("Table I", 7.91, 7.9)
    assert found["incorrect keys, mean EER"] == ("Table I", 35.1, 25.0)
    assert found["plain query, EER"] == ("Table I", 35.3, 35.0)
    assert found["variance of EER"][:2] == ("Fig. 9", 2.51)


@pytest.mark.parametrize(("scheme", "mean"), [("shuffling", 33.3), ("flipping", 34.1)])
def test_the_other_schemes_have_the_table_only(make_run: MakeRun, scheme: str, mean: float) -> None:
    found = beside(make_run("a", [20.0, 30.0], block_size=10, scheme=scheme))
    assert len(found) == 4 and found["incorrect keys, mean EER"][1] == mean


def test_recognition_and_classification(make_run: MakeRun) -> None:
    asr = {"task": "asr", "metric": "wer"}
    assert beside(make_run("a", [90.0], block_size=3, dims=2, **asr))["incorrect keys, mean WER"][1] == 97.62
    waveform = {"correct": None, "plain_query": None, "config": {"variant": "waveform"}}
    assert beside(make_run("b", [90.0], block_size=20, **asr, **waveform)) == {
        "encrypted query, mean WER": ("Table IV", 85.4, 90.0)
    }
    (row,) = published_beside(summarise(load_run(make_run("d", [90.0], block_size=5, **asr, **waveform))))
    assert row.differs.endswith("This run: another model (RawNeXt), another corpus (toy), 1 key.")
    asc = make_run("c", [2.0], block_size=8, dims=2, task="asc", metric="accuracy", scheme="flipping")
    assert beside(asc)["incorrect keys, mean accuracy"] == ("Table III", 1.99, 2.0)


@pytest.mark.parametrize(
    "setting",
    [{"block_size": 7}, {"scheme": "shuffling"}, {"dims": 2}, {"metric": "wer"}, {"task": "gait"}, {"scheme": "mine"}],
)
def test_another_setting_has_nothing_beside_it(make_run: MakeRun, setting: dict[str, object]) -> None:
    assert beside(make_run("a", [20.0, 30.0], **setting)) == {}


@pytest.mark.parametrize(
    "setting",
    [
        {"task": "asr", "metric": "wer", "block_size": 20},  # waveforms, but an encrypted model: not Table IV
        {"task": "asr", "metric": "wer", "block_size": 3, "config": {"blocks": "frames"}},
        {"block_size": 10, "config": {"variant": "waveform"}},  # Table I asks an encrypted model
        {"block_size": 10, "config": {"blocks": "frames"}},
        {"task": "asr", "metric": "wer", "block_size": 3, "config": {"variant": "waveform"}},  # Fig. 11: no number
        {"task": "asc", "metric": "accuracy", "block_size": 8, "dims": 2, "config": {"variant": "waveform"}},
    ],
)
def test_other_blocks_and_variants_have_nothing_beside_them(make_run: MakeRun, setting: dict[str, object]) -> None:
    assert beside(make_run("a", [20.0, 30.0], **setting)) == {}


def test_the_sentence_says_what_differs(make_run: MakeRun) -> None:
    (row,) = published_beside(summarise(load_run(make_run("a", [20.0, 30.0]))))
    assert row.differs == (
        "The paper: RawNeXt on VoxCeleb1 test, 1,000 incorrect keys. "
        "This run: the same model, another corpus (toy), 2 incorrect keys."
    )
    folder = make_run("b", [20.0], corpus="voxceleb1-test", model="mine", shards=1)
    (row,) = published_beside(summarise(load_run(folder)))
    assert "another model (mine), the same corpus, 1 incorrect key." in row.differs
    assert row.ours is None


def test_another_threat_variant_is_a_difference(make_run: MakeRun) -> None:
    folder = make_run("a", [20.0, 30.0], config={"variant": "test"})
    (row,) = published_beside(summarise(load_run(folder)))
    assert row.differs.endswith(
        "2 incorrect keys, only the test side guesses (the paper does not say how speakers were enrolled)."
    )


def test_a_difference_is_said_once_for_all_its_runs(make_run: MakeRun) -> None:
    folders = [make_run(scheme, [20.0, 30.0], scheme=scheme, block_size=10) for scheme in ("rom", "flipping")]
    rows = [row for result in summarise_all(load_runs(folders)) for row in published_beside(result)]
    (table, _, both), (sweep, sentence, rom) = differences(rows)
    assert (table, both) == ("Table I", ["RawNeXt, ROM, M = 10", "RawNeXt, Flipping, M = 10"])
    assert (sweep, rom) == ("Fig. 9", ["RawNeXt, ROM, M = 10"]) and "HuBERT10 on VoxCeleb1 test" in sentence


def test_the_table_has_a_row_per_run_and_source(make_run: MakeRun) -> None:
    rows = published_beside(summarise(load_run(make_run("a", [20.0, 30.0], block_size=10))))
    table = published_table(rows, get_metric("eer")).set_index("Paper")
    assert table.loc["Table I", "incorrect keys, mean EER"] == "35.10 | 25.00"
    assert table["variance of EER"].to_dict() == {"Table I": "", "Fig. 9": "2.51 | 50.0"}


def test_the_file_is_the_papers() -> None:
    values = published_values()
    assert values["sweep"]["asv"]["keys"] == 1000
    assert values["asv"]["plain_model_plain_query"] == 7.91
    assert values["plain_asr"]["shuffling"] == [13.9, 30.6, 63.9, 94.9]
