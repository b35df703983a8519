"""The paper's tables and figures beside our runs: every cell, every sentence, and files that say the same."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from wrongkey.errors import BadInput
from wrongkey.reports.paper.experiments import EXPERIMENTS
from wrongkey.reports.paper.published import published_values
from wrongkey.reports.paper.reproduction import Reproduction, sentences, write_reproduction
from wrongkey.reports.runs import Run, load_run

MakeRun = Callable[..., Path]
WAVEFORM: dict[str, Any] = {
    "task": "asr", "metric": "wer", "correct": None, "plain_query": None, "plain": 6.0,
    "config": {"variant": "waveform", "blocks": "samples"},
}  # fmt: skip


TESTED = {"shuffling": 40.0, "flipping": 45.0, "rom": 48.0}  # means where only the test side guesses


def of(name: str, folders: list[Path]) -> Reproduction:
    return Reproduction.of(EXPERIMENTS[name], [load_run(folder) for folder in folders])


def rows(ours: Reproduction) -> list[list[str]]:
    return [list(row) for row in ours.table().itertuples(index=False)]


@pytest.fixture
def table1(make_run: MakeRun) -> list[Path]:
    return [
        make_run(s, [mean - 2, mean + 2], scheme=s, block_size=10, plain=7.0, correct=7.0)
        for s, mean in (("shuffling", 9.0), ("flipping", 20.0), ("rom", 22.5))
    ]


def test_experiments_say_what_published_toml_says() -> None:
    """Two places hold the paper's settings: the light one for the command line, and the values."""
    values = published_values()
    for experiment in EXPERIMENTS.values():
        if experiment.form == "conditions":
            table = values[experiment.task]
            assert experiment.block_sizes == (table["block_size"],)
            assert experiment.keys == table["incorrect_keys_averaged"]
        elif experiment.form == "block sizes":
            table = values["plain_asr"]
            assert list(experiment.block_sizes) == table["block_size"]
        else:
            table = values["sweep"][experiment.task]
            sizes = table.get("block_size") or [v["block_size"] for v in table.values() if isinstance(v, dict)]
            assert (list(experiment.block_sizes), experiment.keys) == (sizes, table["keys"])
            assert experiment.schemes == (table["scheme"],)
        assert experiment.metric == table["metric"]
        assert EXPERIMENTS[experiment.sweeps or experiment.name].source == table["source"]
        assert experiment.blocks == table["blocks"]


def test_table_1_has_the_papers_rows_and_columns(table1: list[Path]) -> None:
    ours = of("table1", table1)
    assert list(ours.table().columns) == [
        "Model encryption", "plain query", "correct key", "incorrect keys (mean of 2)",
    ]  # fmt: skip
    assert rows(ours) == [
        ["Plain", "7.91 | 7.00", "–", "–"],
        ["Shuffling", "36.7 | 35.00", "7.91 | 7.00", "33.3 | 9.00"],
        ["Flipping", "37.2 | 35.00", "7.91 | 7.00", "34.1 | 20.00"],
        ["ROM", "35.3 | 35.00", "7.91 | 7.00", "35.1 | 22.50"],
    ]


def test_tables_2_and_3_take_their_own_published_values(make_run: MakeRun) -> None:
    asr = make_run("a", [90.0], task="asr", metric="wer", dims=2, scheme="flipping", plain=5.0, correct=5.0)
    assert rows(of("table2", [asr])) == [
        ["Plain", "4.4 | 5.00", "–", "–"],
        ["Flipping", "98.1 | 35.00", "4.4 | 5.00", "98.26 | 90.00"],
    ]
    asc = {"task": "asc", "metric": "accuracy", "dims": 2, "block_size": 8, "plain": 81.0, "correct": 81.0}
    assert rows(of("table3", [make_run("b", [12.0], **asc)]))[1] == [
        "ROM",
        "1.97 | 35.00",
        "85.4 | 81.00",
        "1.99 | 12.00",
    ]


def test_a_scheme_the_paper_does_not_have_and_different_numbers_of_keys(make_run: MakeRun) -> None:
    folders = [make_run("a", [20.0], scheme="mine"), make_run("b", [20.0, 30.0], correct=None)]
    assert rows(of("table1", folders))[1:] == [
        ["mine", "– | 35.00", "– | 7.90", "– | 20.00 (n = 1)"],
        ["ROM", "35.3 | 35.00", "7.91 | –", "35.1 | 25.00 (n = 2)"],
    ]


def test_several_models_or_block_sizes_have_rows_of_their_own(make_run: MakeRun) -> None:
    folders = [make_run("a", [20.0], model="x", block_size=5), make_run("b", [30.0], model="y", block_size=10)]
    names = [row[0] for row in rows(of("table1", folders))]
    assert names == ["Plain, x", "ROM, x, M = 5", "Plain, y", "ROM, y, M = 10"]


def test_table_4_has_block_sizes_down_and_schemes_across(make_run: MakeRun) -> None:
    runs = [("rom", 128, 95.5), ("rom", 5, 30.0), ("shuffling", 5, 12.0), ("shuffling", 7, 20.0)]
    folders = [make_run(f"{s}{m}", [v] * 5, **WAVEFORM, scheme=s, block_size=m) for s, m, v in runs]
    ours = of("table4", folders)
    assert list(ours.table().columns) == ["M", "ROM", "Shuffling"]
    assert rows(ours) == [
        ["plain speech", "2.7 | 6.00", "2.7 | 6.00"],
        ["5", "28.9 | 30.00", "13.9 | 12.00"],
        ["7", "–", "– | 20.00"],
        ["128", "94.8 | 95.50", "–"],
    ]
    text = ours.markdown()
    assert "Means over 5 keys." in text and "encrypted waveforms into the plain model |" not in text
    assert "M = 7 (samples) is not the paper’s block, which is M = 5, 10, 20, 128 (samples)." in text
    assert "M = 5 (samples) is not" not in text


def test_figure_9_has_the_published_variances(make_run: MakeRun) -> None:
    rng = np.random.default_rng(0)
    spreads = {3: 8.0, 5: 5.0, 10: 2.0}
    folders = [
        make_run(f"m{m}", rng.normal(10 + m, sd, 50), model=f"net{m}", block_size=m) for m, sd in spreads.items()
    ]
    ours = of("fig9", folders)
    table = ours.table().set_index("Run")
    for (size, published), result in zip({3: "66.2", 5: "24.1", 10: "2.51"}.items(), ours.results, strict=True):
        row = table.loc[f"net{size}, ROM, M = {size}"]
        assert row["Variance"].startswith(f"{published} | ")
        assert float(row["Variance"].split()[-1]) == pytest.approx(np.var(result.values, ddof=1), rel=0.01)
        assert (
            row["Best wrong key"] == f"{result.values.min():.2f}"
            and row["95 %"] == f"{np.quantile(result.values, 0.95):.2f}"
        )
    said = sentences(ours)
    assert any("HuBERT10 on VoxCeleb1 test, 1,000 incorrect keys. Ours: another model (net10)" in line for line in said)
    assert any(line.startswith("ROM, M = 3, 5, 10: mean ") and "narrows as M grows" in line for line in said)


def test_figure_11_has_no_published_number_and_says_so(make_run: MakeRun, tmp_path: Path) -> None:
    folders = [make_run(f"m{m}", 20 + m * np.arange(40.0) / 40, **WAVEFORM, block_size=m) for m in (3, 5)]
    text = write_reproduction(EXPERIMENTS["fig11"], [load_run(f) for f in folders], tmp_path / "out")
    assert "violin plot only, so it has no number" in text and "the paper’s value | ours" not in text
    assert "![WER of encrypted waveforms into the plain model](fig11.svg)" in text
    ends = ("md", "tex", "csv", "png", "svg", "pdf")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {f"fig11.{end}" for end in ends}
    assert "published" not in (tmp_path / "out/fig11.tex").read_text(encoding="ascii")
    assert pd.read_csv(tmp_path / "out" / "fig11.csv")["published"].isna().all()


def test_what_differs_stands_below_the_table(table1: list[Path], make_run: MakeRun) -> None:
    said = sentences(of("table1", table1))
    assert said == [
        "The paper does not say how speakers were enrolled. Here both sides of a trial are under the same key, also an "
        "incorrect one, which is our reading of it; --variant both,test shows beside it what speakers enrolled under "
        "the correct key give.",
        "The paper: HuBERT (first convolution: kernel = stride = 10) + x-vector on VoxCeleb1 test, 5 incorrect keys. "
        "Ours: another model (RawNeXt), another corpus (toy), 2 incorrect keys.",
        "A mean of 2 keys says nothing about rare keys that work well: see a sweep of many.",
        "Real recordings.",
    ]
    synthetic = make_run("s", [20.0], correct=9.0, corpus_recordings="synthetic", config={"blocks": "frames"})
    first, block, enrolment, *_, caution, _few = sentences(of("table1", [synthetic]))
    assert first.startswith("Synthetic voices: not evidence")
    assert block == "RawNeXt: M = 3 (frames) is not the paper’s block, which is M = 10 (samples)."
    assert enrolment.startswith("The paper does not say how speakers were enrolled.")
    assert "do not trust this run" in caution


def test_both_readings_of_the_papers_enrolment_stand_side_by_side(table1: list[Path], make_run: MakeRun) -> None:
    test = {"config": {"variant": "test"}, "block_size": 10, "plain": 7.0, "correct": 7.0}
    guessing = [make_run(f"t-{s}", [m - 2, m + 2], scheme=s, plain_query=44.0, **test) for s, m in TESTED.items()]
    ours = of("table1", [*table1, *guessing])
    assert list(ours.table().columns) == [
        "Model encryption", "plain query, both sides", "plain query, only the test side", "correct key",
        "incorrect keys, both sides (mean of 2)", "incorrect keys, only the test side (mean of 2)",
    ]  # fmt: skip
    assert rows(ours) == [
        ["Plain", "7.91 | 7.00", "–", "–", "–", "–"],
        ["Shuffling", "36.7 | 35.00", "36.7 | 44.00", "7.91 | 7.00", "33.3 | 9.00", "33.3 | 40.00"],
        ["Flipping", "37.2 | 35.00", "37.2 | 44.00", "7.91 | 7.00", "34.1 | 20.00", "34.1 | 45.00"],
        ["ROM", "35.3 | 35.00", "35.3 | 44.00", "7.91 | 7.00", "35.1 | 22.50", "35.1 | 48.00"],
    ]
    said = sentences(ours)
    assert said[0].startswith("The paper does not say how speakers were enrolled. Both readings are shown: ")
    numbers = ours.numbers()
    incorrect = numbers[(numbers["scheme"] == "rom") & (numbers["condition"] == "incorrect")]
    assert incorrect.set_index("variant")["ours"].to_dict() == {"both": 22.5, "test": 48.0}
    alone = of("table1", guessing)
    assert rows(alone)[3] == ["ROM", "35.3 | 44.00", "7.91 | 7.00", "35.1 | 48.00"]
    assert "enrolled under the correct key and only the test side guesses" in sentences(alone)[0]


def test_figure_9_follows_each_reading_over_m(make_run: MakeRun) -> None:
    folders = [
        make_run(f"{v}{m}", level + np.arange(40.0) / m, model=f"net{m}", block_size=m, config={"variant": v})
        for v, level in (("both", 20.0), ("test", 40.0))
        for m in (3, 5)
    ]
    trends = [line for line in sentences(of("fig9", folders)) if line.startswith("ROM, M = 3, 5")]
    assert [line.split(":")[0] for line in trends] == [
        "ROM, M = 3, 5, both sides",
        "ROM, M = 3, 5, only the test side",
    ]


def test_only_verification_has_two_readings(make_run: MakeRun) -> None:
    asr = make_run("a", [90.0], task="asr", metric="wer", dims=2, plain=5.0, correct=5.0)
    assert not any("enrolled" in sentence for sentence in sentences(of("table2", [asr])))
    assert {name: e.variants for name, e in EXPERIMENTS.items() if len(e.variants) > 1} == {
        "table1": ("both", "test"),
        "fig9": ("both", "test"),
        "fig10": ("both", "test"),
    }


def test_stopped_decoders_are_counted_in_a_sentence(make_run: MakeRun) -> None:
    folders = [
        make_run(s, [80.0, 90.0], task="asr", metric="wer", dims=2, scheme=s, other_metrics={"runaway": [share, 20.0]})
        for s, share in (("rom", 10.0), ("shuffling", 0.0))
    ]
    (line,) = [line for line in sentences(of("table2", folders)) if "stopped by their bound" in line]
    assert line.endswith("plain 0.5 %, mean over keys 10.0 to 15.0 %.")


def test_files_hold_the_page_and_every_number(table1: list[Path], tmp_path: Path) -> None:
    runs = [load_run(folder) for folder in table1]
    text = write_reproduction(EXPERIMENTS["table1"], runs, tmp_path / "out")
    assert (tmp_path / "out" / "table1.md").read_text(encoding="utf-8") == text
    assert "| ROM | 35.3 \\| 35.00 | 7.91 \\| 7.00 | 35.1 \\| 22.50 |" in text
    assert text.startswith("# Table I: ") and "higher is safer" in text and "| RawNeXt, ROM, M = 10 | 2 |" in text
    table = pd.read_csv(io.StringIO((tmp_path / "out" / "table1.csv").read_text(encoding="utf-8")))
    rom = table[(table["scheme"] == "rom") & (table["condition"] == "incorrect")].iloc[0]
    assert (rom["published"], rom["ours"], rom["keys"], rom["block_size"]) == (35.1, 22.5, 2, 10)
    assert len(table) == 1 + 3 * 3


def test_runs_of_something_else_are_refused(make_run: MakeRun, tmp_path: Path) -> None:
    asv, waveform = load_run(make_run("a", [20.0])), load_run(make_run("b", [20.0], **WAVEFORM))
    wrong: list[tuple[str, list[Run], str]] = [
        ("table2", [asv], "is not a run of table2: that is asr, an encrypted model"),
        ("table4", [asv], "that is asr, encrypted waveforms into a plain model"),
        ("table2", [waveform], "is not a run of table2"),
        ("table1", [], "There is no run of table1"),
    ]
    for name, runs, sentence in wrong:
        with pytest.raises(BadInput, match=sentence):
            Reproduction.of(EXPERIMENTS[name], runs)
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written"):
        write_reproduction(EXPERIMENTS["table1"], [asv], tmp_path / "file" / "out")
