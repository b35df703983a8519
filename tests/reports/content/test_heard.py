"""What a recogniser heard: the right keys, the words as they are, and no table where nothing was kept."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.reports.conftest import heard, write_outputs
from wrongkey.errors import BadInput
from wrongkey.evaluation.spacing import evenly_spaced
from wrongkey.reports.content.heard import LONGEST, heard_table, median_key
from wrongkey.reports.runs import load_run
from wrongkey.reports.statistics.key_statistics import KeyStatistics, summarise

MakeRun = Callable[..., Path]
SAID = ["ONE TWO THREE", "FOUR FIVE", "SIX", "SEVEN EIGHT NINE ZERO", "STOP GO"]


@pytest.fixture
def result(make_run: MakeRun) -> KeyStatistics:
    """Five keys of which number 3 works best and number 1 is the median."""
    folder = make_run("a", [90.0, 70.0, 95.0, 20.0, 30.0], task="asr", metric="wer")
    texts = {i: [f"KEY{i} TWO THREE", "", "SIX", "LA " * 900, "STOP GO"] for i in range(5)}
    keys = {i: heard(SAID, said, runaway=1) for i, said in texts.items()}
    write_outputs(folder, heard(SAID, SAID), keys)
    return summarise(load_run(folder))


def test_plain_median_and_best_key_of_each_utterance(result: KeyStatistics) -> None:
    table = heard_table(result, utterances=5)
    assert table is not None and len(table) == 5 * 4
    assert list(table["Utterance"][::4]) == [f"speaker-{i:03d}" for i in range(5)]
    assert list(table["Heard by"][:4]) == [
        "said", "plain model", "median key, number 1", "best wrong key, number 3",
    ]  # fmt: skip
    assert list(table["Words"][:4]) == [
        "ONE TWO THREE", "ONE TWO THREE",
        "KEY1 TWO THREE (stopped by its bound)", "KEY3 TWO THREE (stopped by its bound)",
    ]  # fmt: skip
    assert list(table["Word errors"][:8]) == ["", "0 of 3", "1 of 3", "1 of 3", "", "0 of 2", "2 of 2", "2 of 2"]
    assert table["Words"][6] == "(nothing)"
    assert len(table["Words"][14]) == LONGEST and table["Words"][14].endswith("…")


def test_where_the_model_carries_no_key_none_is_incorrect(make_run: MakeRun) -> None:
    folder = make_run("a", [90.0], task="asr", metric="wer", correct=None, config={"variant": "waveform"})
    write_outputs(folder, heard(SAID, SAID), {0: heard(SAID, SAID)})
    table = heard_table(summarise(load_run(folder)))
    assert table is not None and "best key, number 0" in set(table["Heard by"])


def test_utterances_are_spaced_not_picked() -> None:
    names = [str(i) for i in range(100)]
    assert evenly_spaced(names, 4) == ["12", "37", "62", "87"]
    assert evenly_spaced(names[:3], 4) == ["0", "1", "2"]


def test_the_median_key_is_the_nearest_to_the_median(make_run: MakeRun) -> None:
    run = load_run(make_run("a", [10.0, 40.0, 21.0, 22.0], task="asr", metric="wer"))
    assert median_key(summarise(run)) == 2


def test_nothing_kept_or_another_task_has_no_table(make_run: MakeRun) -> None:
    assert heard_table(summarise(load_run(make_run("a", [90.0], task="asr", metric="wer")))) is None
    assert heard_table(summarise(load_run(make_run("b", [90.0])))) is None
    part = make_run("c", [90.0, 80.0], task="asr", metric="wer")
    write_outputs(part, heard(SAID, SAID), {0: heard(SAID, SAID)})  # the best key's shard was not kept
    assert heard_table(summarise(load_run(part))) is None


def test_damaged_and_foreign_outputs_are_named(result: KeyStatistics) -> None:
    folder = result.run.folder / "outputs"
    whole = (folder / "conditions.parquet").read_bytes()
    (folder / "conditions.parquet").write_bytes(whole[:50])
    with pytest.raises(BadInput, match=r"conditions\.parquet is broken"):
        heard_table(result)
    (folder / "conditions.parquet").write_bytes(whole)
    columns = heard(SAID, SAID)
    del columns["hypothesis"]
    for file in folder.glob("*.parquet"):
        file.unlink()
    folder.rmdir()
    write_outputs(result.run.folder, columns, {})
    with pytest.raises(BadInput, match="lacks the columns hypothesis"):
        heard_table(result)
