"""Reading run folders: what loads, what is refused, and with which sentence."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.reports.conftest import unseal
from wrongkey.errors import BadInput
from wrongkey.evaluation.run_folder.tables import identity_digest, write_table
from wrongkey.reports.page.write import write_report
from wrongkey.reports.runs import find_readable, load_run, load_runs, run_labels

MakeRun = Callable[..., Path]


def change_manifest(folder: Path, **changes: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


FIRST = "incorrect-00000000-00000001.parquet"  # of a run of two keys


def shards(folder: Path) -> list[Path]:
    return sorted((folder / "scores").glob("incorrect-*"))


def test_a_complete_run(make_run: MakeRun, scores: np.ndarray) -> None:
    run = load_run(make_run("a", scores, other_metrics={"min_dcf": [0.9] * 200}))
    assert (run.task, run.model, run.scheme_name, run.block_size, run.dims) == ("asv", "RawNeXt", "ROM", 3, 1)
    assert (run.metric, run.metrics) == ("eer", ["eer", "min_dcf"])
    assert run.incorrect("eer").tolist() == scores.tolist()  # in the order of the keys, whatever the shards' order
    assert (run.state, run.finished, run.exhaustive, run.recordings) == ("complete", True, False, "real")
    assert run.self_checks[0].passed and run.self_checks[0].limit == 1e-4


def test_an_unfinished_run_says_so(make_run: MakeRun) -> None:
    run = load_run(make_run("a", [20.0] * 320, keys=1000, ended=None))
    assert run.state == "unfinished: 320 of 1,000 keys"


def test_a_small_key_space_is_complete_when_all_its_keys_are_done(make_run: MakeRun) -> None:
    whole = load_run(make_run("a", [20.0] * 5, keys=1000, key_space=5, enumerated=True))
    assert (whole.state, whole.exhaustive, whole.keys_asked) == ("complete", True, 5)
    part = load_run(make_run("b", [20.0] * 3, keys=1000, key_space=5, enumerated=True))
    assert (part.state, part.exhaustive) == ("unfinished: 3 of 5 keys", False)


def test_a_gap_is_not_filled_by_keys_beyond_what_was_asked(make_run: MakeRun) -> None:
    folder = make_run("a", [20.0] * 6, keys=4, shards=6)
    (folder / "scores" / "incorrect-00000002-00000003.parquet").unlink()
    run = load_run(folder)
    assert (run.keys_done, run.finished, run.state) == (5, False, "unfinished: 3 of 4 keys")


def test_an_older_run_is_read_with_a_caution(make_run: MakeRun) -> None:
    folder = make_run("a", [20.0, 30.0])
    assert load_run(folder).cautions == []
    run = load_run(unseal(folder))
    assert run.incorrect("eer").tolist() == [20.0, 30.0]
    assert len(run.cautions) == 1 and "older wrongkey, without checksums" in run.cautions[0]


def test_what_the_sweep_noted_is_a_caution(make_run: MakeRun) -> None:
    folder = make_run("a", [20.0, 30.0], cautions=["The plain model is at chance."])
    assert load_run(folder).cautions == ["The plain model is at chance."]


def test_missing_intervals_and_other_number_types_are_read(make_run: MakeRun) -> None:
    folder = unseal(make_run("a", [20.0, 30.0], shards=1))
    (shard,) = shards(folder)
    frame = pd.read_parquet(shard)
    frame["ci_low"] = pd.Series([None, None], dtype=object)
    frame["value"] = frame["value"].astype("float32")
    frame.to_parquet(shard)
    assert load_run(folder).incorrect("eer").tolist() == [20.0, 30.0]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda f: (f / "manifest.json").unlink(), "not a run folder"),
        (lambda f: (f / "manifest.json").write_text("{"), "is broken"),
        (lambda f: (f / "manifest.json").write_text("[1]"), "is broken"),
        (lambda f: (f / "manifest.json").write_bytes(b"\xff\xfe"), "is broken"),
        (lambda f: change_manifest(f, format="wrongkey-run/2"), "has the format 'wrongkey-run/2'"),
        (lambda f: change_manifest(f, format=None), "has the format None"),
        (lambda f: change_manifest(f, key_space="many"), "key_space is 'many'"),
        (lambda f: change_manifest(f, key_space=2**60), "key_space is 1152921504606846976"),
        (lambda f: change_manifest(f, sessions=[{"device": 5}]), r"sessions.0.device is 5"),
        (lambda f: change_manifest(f, seconds=float("nan")), "seconds is nan"),
        (lambda f: change_manifest(f, self_checks=[1]), "self_checks.0 is 1"),
        (lambda f: (f / "manifest.json").write_text('{"config": {}, "config": {}}'), "it names 'config' twice"),
        (lambda f: (f / "manifest.json").write_text("[" * 10**5), "nested too deep"),
        (lambda f: (f / "manifest.json").write_text("9" * 5000), "is broken"),
        (lambda f: (f / "manifest.json").write_text(" " * (2**24 + 1)), "more than 16 MiB"),
        (lambda f: ((f / "manifest.json").unlink(), (f / "manifest.json").mkdir()), "is not a file"),
        (lambda f: [p.unlink() for p in (f / "scores").iterdir()], "no scores yet"),
        (lambda f: [p.unlink() for p in sorted((f / "scores").iterdir())[1:]], "no scores yet"),
        (lambda f: (f / "scores" / FIRST).write_bytes(b"PAR1 damaged"), f"{FIRST} is broken"),
        (lambda f: (f / "scores" / FIRST).write_bytes(b""), "the same wrongkey sweep command"),
        (lambda f: shards(f)[0].rename(f / "scores" / "incorrect-00000005-00000006.parquet"), "was written as scores"),
        (lambda f: pd.read_parquet(f / "scores" / FIRST).to_parquet(f / "scores" / FIRST), "checksum is gone"),
        (lambda f: (f / "scores" / FIRST).write_bytes(shards(f)[1].read_bytes()), "was written as scores"),
        (lambda f: change_manifest(f, identity={"weights": "d" * 64}), "from another run"),
    ],
)
def test_refusals(make_run: MakeRun, change: Callable[[Path], object], sentence: str) -> None:
    folder = make_run("a", [20.0, 30.0])
    change(folder)
    with pytest.raises(BadInput, match=sentence) as caught:
        load_run(folder)
    assert "a" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("column", "value", "sentence"),
    [
        ("value", float("nan"), "not numbers"),
        ("value", "high", "not numbers"),
        ("key_index", None, "not numbers"),
        ("block_size", 10**9, "block size beyond 1 to 16,384"),
        ("block_size", 0, "block size beyond 1 to 16,384"),
        ("key_index", 7, "not those of the keys 0 to 0"),
        ("key_seed", 7, "its key_seed is 7, and that of this run 0"),
        ("model", "another", "its model is another"),
        ("model", 5, "its model is not text"),
        ("condition", "lucky", "unknown condition 'lucky'"),
    ],
)
def test_bad_rows_are_refused(make_run: MakeRun, column: str, value: object, sentence: str) -> None:
    """With a checksum that fits, and without one."""
    sealed, old = make_run("a", [20.0], shards=1), unseal(make_run("b", [20.0], shards=1))
    run = identity_digest(json.loads((sealed / "manifest.json").read_text())["identity"])
    for folder in (sealed, old):
        path = folder / "scores" / FIRST
        frame = pd.read_parquet(path)
        frame[column] = pd.Series([value], dtype=object)
        if folder is sealed:
            write_table(path, frame, run, "scores")
        else:
            frame.to_parquet(path)
        with pytest.raises(BadInput, match=sentence):
            load_run(folder)


def test_contradicting_and_incomplete_shards_are_refused(make_run: MakeRun) -> None:
    folder = unseal(make_run("a", [20.0], shards=1))
    frame = pd.read_parquet(folder / "scores" / FIRST)
    frame.to_parquet(folder / "scores" / "z.parquet")
    assert load_run(folder).keys_done == 1  # the same rows twice count once
    frame.assign(value=21.0).to_parquet(folder / "scores" / "z.parquet")
    with pytest.raises(BadInput, match="two different scores for key 0"):
        load_run(folder)
    frame.drop(columns=["metric", "n"]).to_parquet(folder / "scores" / "z.parquet")
    with pytest.raises(BadInput, match="lacks the columns metric, n"):
        load_run(folder)


def test_rows_are_ordered_by_key_however_the_files_are(make_run: MakeRun) -> None:
    folder = make_run("run", [20.0, 21, 22, 23], shards=2, other_metrics={"min_dcf": [0.5, 0.6, 0.7, 0.8]})
    for path in (folder / "scores").glob("*.parquet"):
        table = pd.read_parquet(path)
        identity = json.loads((folder / "manifest.json").read_text())["identity"]
        write_table(path, table[::-1], identity_digest(identity), "scores")
    run = load_run(folder)
    assert run.metrics == ["eer", "min_dcf"] and run.incorrect("min_dcf").tolist() == [0.5, 0.6, 0.7, 0.8]
    assert run.rows("incorrect", "eer")["key_index"].tolist() == [0, 1, 2, 3]
    assert run.rows("plain", "eer")["value"].tolist() == [7.9] and not len(run.rows("plain", "wer"))


def test_scores_take_little_memory(make_run: MakeRun) -> None:
    """A run may hold a million: 14 columns of 8 bytes and 6 texts would be 160 bytes a row."""
    run = load_run(make_run("run", np.linspace(10, 40, 5_000), shards=5))
    assert run.scores.memory_usage(deep=True).sum() < 50 * len(run.scores)


def test_a_measure_that_only_some_keys_have_is_left_out(make_run: MakeRun) -> None:
    """A run that an older wrongkey began, without the measure, and a newer one extended."""
    folder = make_run("a", [20.0, 30.0], shards=2, other_metrics={"d_sys": [0.9, 0.8]})
    first = shards(folder)[0]
    table, run = pd.read_parquet(first), identity_digest(load_run(folder).manifest["identity"])
    write_table(first, table[table.metric == "eer"], run, "scores")
    assert load_run(folder).partial == {"d_sys": 1} and load_run(folder).metrics == ["eer"]


def test_half_of_an_older_shard_is_noticed(make_run: MakeRun) -> None:
    """Its first half is the whole of one metric."""
    folder = unseal(make_run("a", [20.0, 30.0], shards=1, other_metrics={"min_dcf": [0.9, 0.8]}))
    (shard,) = shards(folder)
    pd.read_parquet(shard).head(2).to_parquet(shard)
    with pytest.raises(BadInput, match="its min_dcf is gone"):
        load_run(folder)


def test_a_folder_that_is_not_there_and_no_folder_at_all(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is not a folder"):
        load_run(tmp_path / "nothing")
    with pytest.raises(BadInput, match="No run folder was given"):
        load_runs([])


def test_a_metric_that_was_not_measured(make_run: MakeRun) -> None:
    run = load_run(make_run("a", [20.0, 30.0]))
    with pytest.raises(BadInput, match="no wer scores of incorrect keys: ask for one of eer"):
        run.incorrect("wer")


def test_only_unknown_metrics(make_run: MakeRun) -> None:
    run = load_run(make_run("a", [20.0, 30.0], metric="charm"))
    with pytest.raises(BadInput, match="only metrics that the report does not know"):
        _ = run.metric


def test_labels_add_only_what_tells_runs_apart(make_run: MakeRun) -> None:
    runs = load_runs(
        [
            make_run("a", [20.0]),
            make_run("b", [20.0], scheme="flipping"),
            make_run("c", [20.0]),
            make_run("d", [20.0], config={"variant": "test"}),
            make_run("e", [20.0], scheme="flipping", corpus="other"),
        ]
    )
    assert run_labels(runs) == [
        "RawNeXt, ROM, M = 3, a",
        "RawNeXt, Flipping, M = 3, toy",
        "RawNeXt, ROM, M = 3, c",
        "RawNeXt, ROM, M = 3, only the test side",
        "RawNeXt, Flipping, M = 3, other",
    ]


@pytest.mark.parametrize(
    ("variant", "words"),
    [("both", ""), (None, ""), ("test", ", only the test side"), ("enrol", ", variant enrol")],
)
def test_a_label_names_the_variant_unless_it_is_the_usual_one(make_run: MakeRun, variant: object, words: str) -> None:
    run = load_run(make_run("a", [20.0], config={"variant": variant}))
    assert run_labels([run]) == [f"RawNeXt, ROM, M = 3{words}"]


@pytest.mark.parametrize(
    ("config", "dims", "words"),
    [
        ({}, 1, "M = 80"),
        ({}, 2, "M = 80 (tiles)"),
        ({"blocks": "tiles"}, 2, "M = 80 (tiles)"),
        ({"blocks": "frames"}, 1, "M = 80 (frames)"),
        ({"blocks": "frames", "bins": 80}, 1, "whole frames of 80"),
        ({"blocks": "frames", "bins": 160}, 1, "M = 80 (frames)"),
        ({"blocks": "samples", "variant": "waveform"}, 1, "M = 80, encrypted waveforms into the plain model"),
    ],
)
def test_tiles_and_frames_are_distinguished(
    make_run: MakeRun, config: dict[str, object], dims: int, words: str
) -> None:
    run = load_run(make_run("a", [20.0], block_size=80, dims=dims, config=config))
    assert run.setting == words
    assert run.keyed == ("variant" not in config)
    assert run.key_words == ("ROM key" if "variant" in config else "incorrect ROM key")


def test_runs_that_are_read_are_not_read_again(make_run: MakeRun) -> None:
    run = load_run(make_run("a", [20.0]))
    assert load_runs([run.folder, run, run.folder]) == [run]


def test_readable_runs_are_separated_from_the_others(make_run: MakeRun) -> None:
    names = ("good", "foreign", "early", "checks", "metric")
    good, foreign, early, checks, metric = (
        make_run(name, [20.0], metric="charm" if name == "metric" else "eer") for name in names
    )
    (foreign / "manifest.json").write_text('{"name": "web page"}')
    for shard in (early / "scores").iterdir():
        shard.unlink()
    change_manifest(checks, self_checks=[1])
    runs, reasons = find_readable([foreign, early, good, checks, metric])
    assert [run.folder for run in runs] == [good]
    assert all(name in reason for name, reason in zip(("foreign", "early", "checks", "metric"), reasons, strict=True))
    assert "it has no config" in reasons[0] and "no scores yet" in reasons[1]


@pytest.mark.parametrize(
    ("model", "family"),
    [("HuBERT10", "HuBERT"), ("ge2e-m10", "ge2e"), ("net110", "net110"), ("RawNeXt", "RawNeXt"), ("10", "10")],
)
def test_the_family_is_the_model_without_its_block_size(make_run: MakeRun, model: str, family: str) -> None:
    assert load_run(make_run("a", [20.0], model=model, block_size=10)).family == family


def test_a_run_in_a_folder_whose_name_is_no_text_is_shown(make_run: MakeRun, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"Ren\xe9")
    make_run("a", [20.0, 30.0]).rename(folder)
    assert load_run(folder).name == r"Ren\xe9"
    page = write_report([folder], tmp_path / "page.html").read_text(encoding="utf-8")
    assert r"Ren\xe9" in page
