"""Analyses in the report: what is read, what is drawn, what is said, and one sentence for what is broken."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.reports.figures.drawn import across, heights
from tests.reports.page.test_html import Page
from wrongkey.attacks.analyses.folder import AnalysisFolder
from wrongkey.errors import BadInput
from wrongkey.reports.analyses import (
    Analysis,
    decryption_table,
    find_analyses,
    group_table,
    prediction_table,
    rows_table,
)
from wrongkey.reports.figures.analyses import (
    correlation_figure,
    distance_figure,
    example_figure,
    near_figure,
    scatter_figure,
)
from wrongkey.reports.page.write import write_report

MakeRun = Callable[..., Path]
SETTING = {
    "model": "toy3",
    "corpus": "toy",
    "recordings": "real",
    "scheme": "rom",
    "blocks": "samples",
    "block_size": 3,
}


def write(folder: Path, name: str, rows: pd.DataFrame, **about: Any) -> Path:
    """One analysis, by the schema of attacks/analyses/folder.py."""
    place = folder / "analyses"
    place.mkdir(parents=True, exist_ok=True)
    rows.to_parquet(place / f"{name}.parquet", index=False)
    described = {
        "format": "wrongkey-analysis/1",
        "name": name,
        "setting": SETTING,
        "command": f"wrongkey analyse {name}",
    }
    (place / f"{name}.json").write_text(json.dumps(described | about), encoding="utf-8")
    return folder


def keys_of(folder: Path, keys: int = 120, **about: Any) -> Path:
    random = np.random.default_rng(0)
    error = random.uniform(8, 40, keys)
    low, high = np.quantile(error, (0.25, 0.75))
    rows = pd.DataFrame({"key_index": np.arange(keys), "score": error, "error": error})
    rows["group"] = np.where(error <= low, "low", np.where(error >= high, "high", "middle"))
    rows["euclidean"], rows["moments"] = random.uniform(1, 2, keys), error / 40
    told = {"keys": 30, "error_from": 8.0, "error_to": 16.0, "q25": 1.2, "median": 1.4, "q75": 1.7}
    entry = {"meaning": "", "keyless": False, "low": -0.1, "high": 0.2}
    measures = [
        {**entry, "name": "euclidean", "label": "Euclidean <distance>", "correlation": 0.05},
        {**entry, "name": "moments", "label": "second moments", "keyless": True, "correlation": 0.99, "high": 0.995},
        {**entry, "name": "trace", "label": "constant", "correlation": None, "low": None, "high": None},
    ]
    found = {"from": "all measures", "keys": keys, "rho": 0.9, "low": 0.8, "high": 0.95, "r2": 0.7, "hits": 0.5}
    settings = {
        "metric": "eer",
        "measures": measures,
        "groups": {"low": told, "high": told, "nearer": 0.57, "nearer_low": 0.47, "nearer_high": 0.66},
        "prediction": [found],
        "sentences": ["Low-error keys are not the near ones."],
    }
    return write(folder, "keys", rows, **settings | about)


def decryption_of(folder: Path) -> Path:
    kinds = [
        ("correct key", np.nan, 0.0),
        *(("geodesic step", s, s) for s in (0.1, 0.5, 1.0)),
        ("incorrect key", np.nan, 1.4),
    ]
    rows, summary = [], []
    for draw, (kind, step, error) in enumerate(kinds):
        for metric, value in (("key_error", error), ("snr", 20 - 10 * error), ("eer", 9 + 10 * error)):
            rows.append({"kind": kind, "step": step, "draw": draw, "utterance": None, "metric": metric, "value": value})
            told = {"keys": 1, "median": value, "min": value - (metric == "eer"), "max": value}
            summary.append({"kind": kind, "step": None if np.isnan(step) else step, "metric": metric, **told})
    pictures = [("plain", np.nan), ("encrypted", np.nan), *((kind, step) for kind, step, _ in kinds)]
    frame, bins = np.meshgrid(np.arange(4), np.arange(3))
    image = {"frame": frame.ravel(), "bin": bins.ravel(), "value": -(frame + bins).ravel().astype(float)}
    example = pd.concat(pd.DataFrame(image).assign(picture=name, step=step) for name, step in pictures)
    folder = write(folder, "decryption", pd.DataFrame(rows), metric="eer", plain=9.0, summary=summary)
    example.to_parquet(folder / "analyses" / "decryption-example.parquet", index=False)
    return folder


def rows_of(folder: Path, name: str = "leaks") -> Path:
    shared = {"experiment": "energy", "block_size": 3, "blocks": "samples", "method": ""}
    rows = [
        {
            **shared,
            "scheme": scheme,
            "condition": "encrypted",
            "utterance": f"u{i}",
            "metric": "contour",
            "value": i / 4,
        }
        for scheme in ("rom", "flipping")
        for i in range(5)
    ]
    rows.append(
        {**shared, "scheme": "rom", "condition": "encrypted", "utterance": None, "metric": "eer", "value": 12.5}
    )
    corpus = {"corpus": "toy <speech>", "recordings": "synthetic"}
    return write(folder, name, pd.DataFrame(rows), setting=corpus)


def one(folder: Path) -> Analysis:
    (analysis,) = find_analyses([folder])
    return analysis


def test_analyses_are_found_in_and_below_folders_once(tmp_path: Path) -> None:
    keys_of(tmp_path / "b")
    decryption_of(tmp_path / "b")
    keys_of(tmp_path / "a")
    write(tmp_path / "a", "future", pd.DataFrame({"x": [1]}))
    found = find_analyses([tmp_path, tmp_path / "a"])
    assert [(analysis.folder.name, analysis.name) for analysis in found] == [
        ("a", "keys"),
        ("b", "keys"),
        ("b", "decryption"),
    ]
    assert found[0].label == "toy3, ROM, M = 3" and found[0].error_name == "EER (%)"


def test_tables_say_what_was_found(tmp_path: Path) -> None:
    analysis = one(keys_of(tmp_path / "keys"))
    table = group_table([analysis])
    assert table.iloc[0]["low-error key is the nearer one"] == "57 % [47, 66]"
    predicted = prediction_table([analysis])
    assert predicted is not None and predicted.iloc[0]["Rank correlation [95 %]"] == "0.90 [0.80, 0.95]"
    near = decryption_table(one(decryption_of(tmp_path / "near")))
    assert list(near["Decrypted with"])[1:3] == ["geodesic step of 0.1", "geodesic step of 0.5"]
    assert near.iloc[1]["EER (%)"] == "10.00 (9.00 to 10.00)" and near.iloc[1]["SNR (dB)"] == "19.0"
    leaks = rows_table(one(rows_of(tmp_path / "leaks")))
    assert list(leaks.columns) == ["Encrypted by", "Condition", "contour", "EER (%)"]
    assert leaks.iloc[0].to_list() == ["ROM, M = 3", "encrypted", "0.5 [0.25, 0.75]", "12.5"]
    assert leaks.iloc[1]["EER (%)"] == "–"


def test_the_groups_stand_side_by_side(tmp_path: Path) -> None:
    figure = distance_figure([one(keys_of(tmp_path / "a"))])
    assert figure is not None
    left, right = (np.asarray(shape.get_paths()[0].vertices)[:, 0] for shape in figure.axes[0].collections)
    assert left.max() <= 0 <= right.min()
    assert distance_figure([one(keys_of(tmp_path / "b", groups=None))]) is None


def test_constant_measures_are_not_drawn_and_the_strongest_is_shown(tmp_path: Path) -> None:
    analysis = one(keys_of(tmp_path))
    figure, scatter = correlation_figure([analysis]), scatter_figure([analysis])
    assert figure is not None and scatter is not None
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["Euclidean <distance>", "second moments (needs no key)"]
    assert scatter.axes[1].get_xlabel() == "second moments (needs no key)"
    assert "0.99" in scatter.axes[1].get_title() and "half" not in scatter.axes[1].get_title()
    assert correlation_figure([]) is None and scatter_figure([]) is None


def test_the_strongest_measure_stands_with_its_correlation_on_keys_that_did_not_choose_it(tmp_path: Path) -> None:
    judged = {"name": "euclidean", "label": "Euclidean distance", "correlation": 0.31, "low": 0.1, "high": 0.5}
    analysis = one(keys_of(tmp_path / "a", strongest=judged))
    assert analysis.strongest is not None and analysis.strongest["name"] == "euclidean"
    scatter = scatter_figure([analysis])
    assert scatter is not None and scatter.axes[1].get_title().endswith(": 0.31 (other half)")
    unknown = one(keys_of(tmp_path / "b", strongest=judged | {"name": "a measure without a column"}))
    assert unknown.strongest is not None and not unknown.strongest["held_out"]


def test_curves_lie_at_the_error_of_their_keys(tmp_path: Path) -> None:
    analysis = one(decryption_of(tmp_path))
    figure = near_figure([analysis])
    assert figure is not None and len(figure.axes) == 2  # no intelligibility was measured
    line = figure.axes[0].lines[0]
    assert across(line) == [0.1, 0.5, 1.0] and heights(line) == [19, 15, 10]
    example = example_figure(analysis)
    assert example is not None
    shown = [axes.get_title() for axes in example.axes if axes.images]
    assert shown[:3] == ["plain", "encrypted", "decrypted:\ncorrect key"] and len(shown) == 6


def test_the_page_has_a_section(make_run: MakeRun, scores: np.ndarray, tmp_path: Path) -> None:
    run = decryption_of(keys_of(make_run("a", scores)))
    rows_of(run, "phase")
    page = Page(write_report([run], tmp_path / "r.html", analyses=find_analyses([run])).read_text(encoding="utf-8"))
    for text in (
        "Which incorrect keys work",
        "Low-error keys are not the near ones.",
        "How close a key must be",
        "Phase reconstruction",
        "not evidence",
        "wrongkey analyse keys",
    ):
        assert text in page.text
    assert len(page.ids) == len(set(page.ids))
    names = {path.name for path in (tmp_path / "r-figures").glob("analysis-*.png")}
    assert names == {f"analysis-{n}.png" for n in ("correlations", "scatter", "near-keys")}  # whose speech is not said
    assert (tmp_path / "r-figures" / "fig10.png").is_file()


def test_analyses_need_no_sweep(tmp_path: Path) -> None:
    folder = rows_of(tmp_path / "leaks")
    page = Page(write_report([], tmp_path / "r.html", analyses=find_analyses([folder])).read_text(encoding="utf-8"))
    assert "What encrypted speech shows" in page.text and "self-check" not in page.text
    assert "toy <speech>" in page.text


def test_a_report_without_analyses_has_no_section(make_run: MakeRun, tmp_path: Path) -> None:
    page = Page(write_report([make_run("a", [20.0, 30.0])], tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "Analyses" not in page.text and "the tail" not in page.text


@pytest.mark.parametrize("part", ["json", "parquet", "format", "columns"])
def test_what_is_broken_is_named(tmp_path: Path, part: str) -> None:
    folder = keys_of(tmp_path)
    if part == "json":
        (folder / "analyses" / "keys.json").write_text("{")
    elif part == "parquet":
        (folder / "analyses" / "keys.parquet").write_bytes(b"PAR1")
    elif part == "format":
        (folder / "analyses" / "keys.json").write_text('{"format": "other"}')
    else:
        pd.DataFrame({"key_index": [1]}).to_parquet(folder / "analyses" / "keys.parquet")
    with pytest.raises(BadInput, match=r"keys\.(json|parquet)"):
        find_analyses([folder])


def test_an_analysis_of_another_run_is_named(make_run: MakeRun, tmp_path: Path) -> None:
    """Its two files fit each other, but lie beside other scores than those that they were made of."""
    identities = {"one": {"seed": 0}, "other": {"seed": 1}}
    one, other = (AnalysisFolder(make_run(name, [20.0, 30.0], identity=identities[name])) for name in identities)
    rows_of(tmp_path / "rows", "leaks")
    for folder in (one, other):
        table = pd.read_parquet(tmp_path / "rows" / "analyses" / "leaks.parquet")
        folder.write_analysis("leaks", table, {"setting": SETTING}, None)
        assert len(find_analyses([folder.path])) == 1
    shutil.copytree(one.path / "analyses", other.path / "analyses", dirs_exist_ok=True)
    with pytest.raises(BadInput, match=r"leaks\.json is of another run than the one in this folder"):
        find_analyses([other.path])
    shutil.copytree(one.path / "analyses", tmp_path / "alone" / "analyses")
    assert len(find_analyses([tmp_path / "alone"])) == 1


def test_rows_are_those_that_the_analysis_wrote(tmp_path: Path) -> None:
    run, other = AnalysisFolder(tmp_path / "run"), AnalysisFolder(tmp_path / "other")
    for folder, value in ((run, 1.0), (other, 2.0)):
        rows_of(tmp_path / "old", "leaks")
        table = pd.read_parquet(tmp_path / "old" / "analyses" / "leaks.parquet").assign(value=value)
        folder.write_analysis("leaks", table, {"setting": SETTING}, None)
    assert one(run.path).cautions == ()
    assert "without checksums" in one(tmp_path / "old").cautions[0]
    shutil.copy(other.path / "analyses" / "leaks.parquet", run.path / "analyses" / "leaks.parquet")
    with pytest.raises(BadInput, match="of another analysis"):
        find_analyses([run.path])
    rows = pd.read_parquet(run.path / "analyses" / "leaks.parquet")
    rows.to_parquet(run.path / "analyses" / "leaks.parquet")
    with pytest.raises(BadInput, match="checksum is gone"):
        find_analyses([run.path])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"measures": [{"name": "euclidean", "label": "x", "correlation": "high"}]}, r"measures\.0\.correlation"),
        ({"strongest": {"name": "euclidean", "label": "x", "correlation": "high"}}, r"strongest\.correlation"),
        ({"groups": {"low": {}, "high": {}}}, r"groups\.low"),
        ({"prediction": [{"from": "x"}]}, r"prediction\.0"),
        ({"sentences": "one"}, "sentences"),
        ({"setting": None}, "setting"),
        ({"plain": "low"}, "plain"),
    ],
)
def test_an_analysis_of_another_shape_is_one_sentence(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=rf"keys\.json is broken \((it has no )?{said}"):
        find_analyses([keys_of(tmp_path, **change)])


def test_numbers_that_are_none_are_one_sentence(tmp_path: Path) -> None:
    path = keys_of(tmp_path) / "analyses" / "keys.parquet"
    pd.read_parquet(path).assign(moments="far").to_parquet(path)
    with pytest.raises(BadInput, match=r"its moments is not a number"):
        find_analyses([tmp_path])


@pytest.mark.parametrize(("keys", "picture"), [(5000, False), (5001, True)])
def test_more_points_than_a_file_should_hold_are_a_picture(tmp_path: Path, keys: int, picture: bool) -> None:
    figure = scatter_figure([one(keys_of(tmp_path, keys))])
    assert figure is not None
    assert [axes.collections[0].get_rasterized() for axes in figure.axes] == [picture] * 2
