"""``wrongkey reproduce``: which sweeps it asks for, with which blocks, and what it makes of them."""

import re
import shlex
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.reports.conftest import write_run
from wrongkey.cli import main
from wrongkey.commands.reproduce import block_sizes, choose_keys, short_names
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.run_folder.folder import RunFolder
from wrongkey.flags import command_line
from wrongkey.reports.content.heard import heard_table
from wrongkey.reports.paper.experiments import EXPERIMENTS
from wrongkey.reports.runs import load_run
from wrongkey.reports.statistics.key_statistics import summarise


class Asked(list[tuple[SweepConfig, Path, dict[str, Any]]]):
    """Stands in for the sweep: remembers what was asked and writes a run folder."""

    def __call__(self, config: SweepConfig, out: Path, **settings: Any) -> RunFolder:
        self.append((config, Path(out), settings))
        waveform = config.variant == "waveform"
        write_run(
            Path(out), [20.0 + i for i in range(config.keys)], task=config.task,
            metric={"asv": "eer", "asr": "wer", "asc": "accuracy"}[config.task], model=config.model,
            scheme=config.scheme, block_size=config.block or 20, correct=None if waveform else 7.9,
            plain_query=None if waveform else 35.0, config={"variant": config.variant, "blocks": config.blocks},
        )  # fmt: skip
        return RunFolder(Path(out))


class Prepared:
    """Stands in for an experiment in memory: encrypted waveforms keep the model that is loaded."""

    def __init__(self, config: SweepConfig) -> None:
        self.config = config

    def with_keys_of(self, config: SweepConfig) -> "Prepared | None":
        return self if config.variant == "waveform" else None


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    asked = Asked()
    monkeypatch.setattr(import_module("wrongkey.evaluation.sweep"), "sweep", asked)
    monkeypatch.setattr(import_module("wrongkey.evaluation.experiment"), "Experiment", Prepared)
    return asked


def reproduce(out: Path, command: str) -> int:
    return main(["reproduce", *command.split(), "--corpus", "bundled", "--out", str(out)])


@pytest.mark.parametrize(
    ("experiment", "model", "variant", "keys", "blocks"),
    [
        ("table1", "tests.toys:raw10", "both", 5, [("samples", 10)]),
        ("table2", "tests.toys:subsampled", "both", 5, [("tiles", 3)]),
        ("table3", "tests.toys:overlapping_tiles", "both", 5, [("tiles", 8)]),
        ("table4", "tests.toys:subsampled", "waveform", 5, [(None, 5), (None, 10), (None, 20), (None, 128)]),
        ("fig11", "tests.toys:subsampled", "waveform", 100, [(None, 3), (None, 5), (None, 10)]),
    ],
)
def test_an_experiment_asks_for_the_papers_sweeps(
    asked: Asked, tmp_path: Path, experiment: str, model: str, variant: str, keys: int, blocks: list[Any]
) -> None:
    assert reproduce(tmp_path, f"{experiment} --model {model}") == 0
    schemes = ["rom"] if experiment == "fig11" else ["shuffling", "flipping", "rom"]
    assert [(c.blocks, c.block, c.scheme) for c, _, _ in asked] == [(*b, s) for b in blocks for s in schemes]
    assert {(c.task, c.variant, c.keys) for c, _, _ in asked} == {(EXPERIMENTS[experiment].task, variant, keys)}
    assert len({folder for _, folder, _ in asked}) == len(asked)
    loaded = {id(settings["prepared"]) for _, _, settings in asked}
    assert len(loaded) == (1 if variant == "waveform" else len(asked))
    assert (tmp_path / f"{experiment}.md").is_file() and (tmp_path / f"{experiment}.csv").is_file()


def test_flags_reach_the_sweep(asked: Asked, tmp_path: Path) -> None:
    flags = "--scheme rom,flipping --keys 7 --block 5,10 --seed 3 --per-speaker 2 --same-gender --recordings real "
    flags += "--trials corpus --device cpu --precision float64 --replicates 9 --keep-outputs --workers 1"
    assert reproduce(tmp_path, f"table1 --model tests.toys:raw3 {flags}") == 0
    assert [(c.scheme, c.block) for c, _, _ in asked] == [("rom", 5), ("flipping", 5), ("rom", 10), ("flipping", 10)]
    config, folder, settings = asked[0]
    assert (config.keys, config.seed, config.per_speaker, config.same_gender) == (7, 3, 2, True)
    assert (config.recordings, config.trials, config.device, config.precision) == ("real", "corpus", "cpu", "float64")
    assert (config.replicates, config.keep_outputs, settings["workers"]) == (9, True, 1)
    assert folder == tmp_path / "table1-tests.toys-raw3-rom-m005"
    words = shlex.split(settings["command"])
    assert words[:2] == ["wrongkey", "sweep"] and words[-2:] == ["--out", str(folder)]


def test_both_readings_of_the_papers_enrolment_are_run_and_shown(
    asked: Asked, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = "table1 --model tests.toys:raw10 --scheme rom"
    assert reproduce(tmp_path, f"{command} --variant both,test") == 0
    assert [(c.variant, folder.name) for c, folder, _ in asked] == [
        ("both", "table1-tests.toys-raw10-rom-m010"),
        ("test", "table1-tests.toys-raw10-rom-test-m010"),
    ]
    page = capsys.readouterr().out
    assert "incorrect keys, both sides (mean of 5)" in page and "incorrect keys, only the test side (mean of 5)" in page
    assert "The paper does not say how speakers were enrolled. Both readings are shown" in page
    asked.clear()
    assert reproduce(tmp_path / "test", f"{command} --variant test") == 0
    assert [c.variant for c, _, _ in asked] == ["test"]
    assert "which is our reading of it" not in capsys.readouterr().out
    assert reproduce(tmp_path / "default", command) == 0
    assert "which is our reading of it" in capsys.readouterr().out


def test_the_command_in_a_manifest_asks_for_the_same_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = SweepConfig("m", "c d", task="asr", variant="waveform", block=5, keys=2, text="none", keep_outputs=True)
    seen: list[Any] = []
    module = import_module("wrongkey.evaluation.sweep")

    def sweep(config: SweepConfig, out: Path, **_: object) -> RunFolder:
        seen.append((config, out))
        return RunFolder(out)

    monkeypatch.setattr(module, "sweep", sweep)
    monkeypatch.setattr(import_module("wrongkey.reports.runs"), "load_run", lambda folder: folder)
    monkeypatch.setattr(import_module("wrongkey.run_summary"), "sentences", lambda run: ["A result."])
    assert main(shlex.split(command_line("sweep", config, tmp_path / "x"))[1:]) == 0
    assert seen == [(config, tmp_path / "x")]


@pytest.mark.parametrize(
    ("model", "experiment", "blocks", "sizes", "chosen"),
    [
        ("raw10", "table1", None, [], [("samples", 10)]),
        ("raw3", "table1", None, [], [("samples", 3)]),  # kernel = stride = 3 fixes M as in the paper
        ("raw3", "fig9", None, [], [("samples", 3)]),
        ("raw3", "table1", None, [6], [("samples", 6)]),
        ("overlapping", "table1", None, [], [("samples", 10)]),  # kernel 10, stride 5
        ("overlapping", "fig9", None, [], [("samples", 5), ("samples", 10)]),  # 3 is no multiple of the stride
        ("recurrent", "table1", None, [], [(None, None)]),  # reads frames: as the model would have it
        ("recurrent", "table1", None, [20], [(None, 20)]),
        ("subsampled", "table2", None, [], [("tiles", 3)]),
        ("subsampled", "table3", None, [], [("tiles", 3)]),
        ("overlapping_tiles", "table3", None, [], [("tiles", 8)]),
        ("whisper_like", "table2", None, [], [("tiles", 3)]),
        ("whisper_like", "table2", "frames", [], [("frames", None)]),
        ("whisper_like", "table2", "frames", [20, 10], [("frames", 20), ("frames", 10)]),
    ],
)
def test_blocks_are_the_papers_where_the_layer_takes_them(
    model: str, experiment: str, blocks: str | None, sizes: list[int], chosen: list[Any]
) -> None:
    from wrongkey.evaluation.models.registry import open_model

    assert choose_keys(open_model(f"tests.toys:{model}"), EXPERIMENTS[experiment], blocks, sizes) == chosen


def test_several_models_share_a_figure(asked: Asked, tmp_path: Path) -> None:
    assert reproduce(tmp_path, "fig9 --model tests.toys:raw3 tests.toys:raw10 --keys 40") == 0
    assert [(c.model, c.block) for c, _, _ in asked] == [("tests.toys:raw3", 3), ("tests.toys:raw10", 10)]
    text = (tmp_path / "fig9.md").read_text(encoding="utf-8")
    assert "66.2 \\| " in text and "2.51 \\| " in text and (tmp_path / "fig9.svg").is_file()


def refused(capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str) -> str:
    capsys.readouterr()
    assert reproduce(tmp_path / "refused", command) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith("wrongkey: ")
    return said[-1]


def test_wrong_input_is_one_sentence_before_the_first_key(
    asked: Asked, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "cannot do --task asr" in refused(capsys, tmp_path, "table2 --model tests.toys:raw3")
    assert "'nothing'" in refused(capsys, tmp_path, "table1 --model nothing")
    for block in ("0", "5,", "five", "5;6"):
        assert "--block must be a block size" in refused(capsys, tmp_path, f"table4 --model x --block {block}")
    assert "nocturne" in refused(capsys, tmp_path, "table1 --model tests.toys:raw3 --scheme rom,nocturne")
    assert "--keys must be at least 1" in refused(capsys, tmp_path, "table1 --model tests.toys:raw3 --keys 0")
    assert "--same-gender" in refused(capsys, tmp_path, "table2 --model tests.toys:subsampled --same-gender")
    assert "--blocks tiles" in refused(capsys, tmp_path, "table4 --model tests.toys:subsampled --blocks tiles")
    for variant in ("neither", "both,", "waveform"):
        assert "give both, test, or both,test" in refused(
            capsys, tmp_path, f"table1 --model tests.toys:raw10 --variant {variant}"
        )
    for other in ("table2 --model tests.toys:subsampled", "table4 --model tests.toys:subsampled"):
        assert "enrols none" in refused(capsys, tmp_path, f"{other} --variant test")
    assert not asked
    assert main(["reproduce", "table9", "--model", "x", "--corpus", "bundled", "--out", str(tmp_path)]) == 2
    assert "invalid choice: 'table9'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("figure", "analysis", "schemes", "blocks", "sizes"),
    [
        ("fig3", "Leaks", ("shuffling",), "samples", (10, 128)),
        ("fig4", "Leaks", ("flipping", "rom"), "samples", (10, 128)),
        ("fig5", "Leaks", ("shuffling",), "tiles", (8, 32)),
        ("fig6", "Leaks", ("flipping", "rom"), "tiles", (8, 32)),
        ("fig7", "PhaseReconstruction", ("rom",), "tiles", (3,)),
        ("fig8", "PhaseReconstruction", ("rom",), "tiles", (3,)),
    ],
)
def test_a_figure_of_speech_asks_for_the_papers_setting(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    figure: str,
    analysis: str,
    schemes: tuple[str, ...],
    blocks: str,
    sizes: tuple[int, ...],
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(
        import_module("wrongkey.attacks.analyses.folder"), "analyse", lambda a, *_, **__: seen.append(a)
    )
    monkeypatch.setattr(import_module("wrongkey.reports.paper.speech"), "write_figure", lambda *_: "a page")
    assert main(["reproduce", figure, "--out", str(tmp_path)]) == 0
    (asked,) = seen
    assert (type(asked).__name__, tuple(asked.schemes), tuple(asked.block_sizes)) == (analysis, schemes, sizes)
    assert asked.blocks in (blocks, (blocks,)) and asked.corpus.name == "bundled" and asked.utterances == 5


@pytest.mark.parametrize("figure", ["fig3", "fig5", "fig8"])
def test_a_figure_of_speech_is_written_in_six_files(tmp_path: Path, figure: str) -> None:
    assert (
        main(["reproduce", figure, "--utterances", "2", "--block", "4", "--style", "ieee", "--out", str(tmp_path)]) == 0
    )
    names = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert names == {f"{figure}.{end}" for end in ("md", "tex", "csv", "png", "svg", "pdf")}
    page = (tmp_path / f"{figure}.md").read_text(encoding="utf-8")
    assert f"({figure}.svg)" in page and "M = 4" in page and "not evidence" in page
    assert "STIXGeneral" in (tmp_path / f"{figure}.svg").read_text(encoding="utf-8")


def test_figure_10_is_of_the_sweeps_of_figure_9(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = "--model tests.toys:raw3 --keys 40 --per-speaker 2 --workers 1 --replicates 0 --device cpu"
    assert reproduce(tmp_path, f"fig10 {flags}") == 0
    assert (tmp_path / "fig9-tests.toys-raw3-rom-m003/analyses/keys.json").is_file()
    page = capsys.readouterr().out
    assert "the paper’s Fig. 10" in page and "low-error key is the nearer one" in page
    assert (tmp_path / "fig10.pdf").is_file() and (tmp_path / "fig10.tex").read_text(encoding="ascii")


def test_flags_that_a_figure_has_no_use_for_are_one_sentence(
    asked: Asked, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for flag in ("--keys 5", "--model x", "--workers 2", "--replicates 9", "--per-speaker 3"):
        said = refused(capsys, tmp_path, f"fig3 {flag}")
        assert said == f"wrongkey: {flag.split()[0]} has no effect on fig3, which shows speech alone: leave it out."
    assert refused(capsys, tmp_path, "table1").endswith("table1 needs --model.")
    assert "--utterances has no effect on table1" in refused(capsys, tmp_path, "table1 --model x --utterances 3")
    assert "give --keys 40 or more" in refused(capsys, tmp_path, "fig10 --model tests.toys:raw3 --keys 39")


def test_folders_are_named_by_the_end_of_a_path_where_that_is_enough() -> None:
    assert short_names(["whisper:/models/tiny.en/", "ctc:facebook/hubert", "tests.toys:raw3"]) == {
        "whisper:/models/tiny.en/": "tiny.en",
        "ctc:facebook/hubert": "hubert",
        "tests.toys:raw3": "tests.toys-raw3",
    }
    assert list(short_names(["ctc:a/x", "ctc:b/x", "ctc:a/x"]).values()) == ["ctc-a-x", "ctc-b-x"]


def test_block_sizes() -> None:
    assert block_sizes(None) == [] and block_sizes("5") == [5] and block_sizes("20,5,20") == [20, 5]


@pytest.mark.parametrize(
    ("command", "cell", "mean"),
    [
        ("table1 --model tests.toys:raw10 --per-speaker 2", r"\| ROM \| 35\.3 \\\| \d", "(mean of {})"),
        ("table2 --model tests.toys:subsampled --per-speaker 1", r"\| ROM \| 99\.7 \\\| \d", "(mean of {})"),
        (
            "table4 --model tests.toys:subsampled --per-speaker 1 --block 5",
            r"\| 5 \| 28\.9 \\\| \d",
            "Means over {} keys",
        ),
    ],
    ids=["table1", "table2", "table4"],
)
def test_a_real_sweep_runs_continues_and_extends(
    command: str, cell: str, mean: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = "--scheme rom --workers 1 --replicates 0 --device cpu --keep-outputs"
    for keys in (1, 1, 2):
        assert reproduce(tmp_path, f"{command} {flags} --keys {keys}") == 0
        page = capsys.readouterr().out
        assert re.search(cell, page) and mean.format(keys) in page
    (folder,) = [path for path in tmp_path.iterdir() if path.is_dir()]
    assert set(RunFolder(folder).keys_done()) == {0, 1}
    heard = heard_table(summarise(load_run(folder)))  # reads what the sweep kept, in its format
    assert (heard is None) == command.startswith("table1")
    assert heard is None or (heard["Heard by"] == "plain model").sum() == 4
