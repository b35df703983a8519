"""Weak keys of a finished sweep: the keys that were swept are the keys that are measured."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.narrow import present
from wrongkey.attacks.analyses.folder import AnalysisFolder, analyse, experiment_of, queries_of, sweep_config
from wrongkey.attacks.analyses.key_measures import MEASURES
from wrongkey.attacks.analyses.rank_regression import Prediction
from wrongkey.attacks.analyses.weak_keys import (
    ALL,
    CIPHERTEXT,
    WeakKeys,
    compare_groups,
    correlate,
    distance_sentence,
    nearer,
    prediction_sentence,
    strongest_measure,
)
from wrongkey.errors import BadInput
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.corpora import open_corpus
from wrongkey.evaluation.sweep import sweep
from wrongkey.keys import correct_key, draw_keys, encrypt_query

KEYS = 44
MINE = ["tests.toys:raw3"]  # code of ours, which no manifest runs by itself


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Three utterances of each of ten voices."""
    used = open_corpus("bundled").select(per_speaker=3, speakers=10).utterances
    listed = tmp_path_factory.mktemp("lists") / "only.txt"
    listed.write_text("".join(f"{utterance.id}\n" for utterance in used))
    config = SweepConfig(
        model="tests.toys:raw3", corpus="bundled", only=str(listed), replicates=0, device="cpu", keys=KEYS
    )
    return sweep(config, tmp_path_factory.mktemp("runs") / "run", workers=1).path


@pytest.fixture(scope="module")
def analysed(run):
    analyse(WeakKeys(MINE), run, command="wrongkey analyse keys run")
    return run


def test_every_key_has_its_score_and_its_measures(analysed):
    table = pd.read_parquet(analysed / "analyses" / "keys.parquet")
    shards = pd.concat(pd.read_parquet(path) for path in (analysed / "scores").glob("incorrect*"))
    scores = shards[shards.metric == "eer"].set_index("key_index").value
    assert list(table.key_index) == list(range(KEYS))
    np.testing.assert_array_equal(table.error, scores.loc[table.key_index])
    keys, correct = draw_keys("rom", 3, 0, 0, KEYS), correct_key("rom", 3, 0)
    np.testing.assert_allclose(table.frobenius, np.linalg.norm(keys - correct, axis=(1, 2)) / 3**0.5)
    assert table[table.group == "low"].error.max() < table[table.group == "high"].error.min()


def test_distances_are_of_what_the_model_hears(analysed):
    table = pd.read_parquet(analysed / "analyses" / "keys-distances.parquet")
    experiment = experiment_of(AnalysisFolder(analysed), MINE)
    assert len(table) == KEYS * len(experiment.used)
    query = queries_of(experiment)[5].double()
    key, correct = experiment.incorrect.batch(7, 1)[0], experiment.correct
    expected = (encrypt_query(query, key, dims=1) - encrypt_query(query, correct, dims=1)).norm() / query.norm()
    found = table[(table.key_index == 7) & (table.utterance == experiment.used[5].id)].distance.item()
    assert found == pytest.approx(float(expected), rel=1e-5)


def test_the_description_says_what_was_asked_and_what_follows(analysed):
    about = json.loads((analysed / "analyses" / "keys.json").read_text())
    assert about["command"] == "wrongkey analyse keys run" and about["keys"] == about["asked"]["keys fitted"] == KEYS
    assert about["setting"]["model"] == "toy3" and about["setting"]["recordings"] == "synthetic"
    measures = {entry["name"]: entry for entry in about["measures"]}
    assert measures["frobenius"]["low"] <= measures["frobenius"]["correlation"] <= measures["frobenius"]["high"]
    assert measures["trace"]["correlation"] == pytest.approx(-measures["frobenius"]["correlation"])
    strongest = about["strongest"]
    assert strongest["name"] in measures and (strongest["chosen_on"], strongest["judged_on"]) == (KEYS // 2, KEYS // 2)
    assert measures["ciphertext_moments"]["keyless"] and "first_layer" in measures
    assert [entry["from"] for entry in about["prediction"]][::2] == [ALL, CIPHERTEXT]
    assert len(about["sentences"]) == 2
    assert not [path for path in (analysed / "analyses").iterdir() if path.name.startswith(".")]


def test_a_sweep_is_opened_as_it_was(run):
    manifest = present(AnalysisFolder(run).manifest())
    config = sweep_config(manifest["config"])
    assert (config.model, config.corpus, config.keys, config.replicates) == ("tests.toys:raw3", "bundled", KEYS, 0)


def test_another_model_and_a_folder_that_is_no_run_are_refused(run, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(run, other)
    text = (other / "manifest.json").read_text()
    (other / "manifest.json").write_text(text.replace("tests.toys:raw3", "tests.toys:with_views"))
    manifest = json.loads(text)
    manifest["identity"]["weights"] = "0" * 64
    changed = tmp_path / "changed"
    shutil.copytree(run, changed)
    (changed / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BadInput, match="another weights"):
        WeakKeys(MINE).run(changed)
    with pytest.raises(BadInput, match="no run folder"):
        WeakKeys().run(tmp_path / "nothing")


def test_few_keys_are_refused(run, tmp_path):
    few = tmp_path / "few"
    shutil.copytree(run, few)
    for path in sorted((few / "scores").glob("incorrect*"))[1:]:
        path.unlink()
    with pytest.raises(BadInput, match="too few to tell weak keys"):
        WeakKeys(MINE).run(few)


def test_pairs_are_counted_as_by_mann_and_whitney():
    low, high = np.array([1.0, 2.0, 2.0]), np.array([2.0, 3.0])
    pairs = [(a < b) + (a == b) / 2 for a in low for b in high]
    assert nearer(low, high) == pytest.approx(np.mean(pairs))
    assert nearer(high + 9, low) == 0


def table_of(error, euclidean):
    low, high = np.quantile(error, (0.25, 0.75))
    group = np.where(error <= low, "low", np.where(error >= high, "high", "middle"))
    return pd.DataFrame({"error": error, "euclidean": euclidean, "group": group})


@pytest.mark.parametrize(("sign", "word"), [(1, "clearly nearer to"), (-1, "clearly farther from"), (0, "chance")])
def test_the_sentence_about_distances_follows_the_groups(sign, word):
    random = np.random.default_rng(0)
    error = random.normal(size=200)
    table = table_of(error, sign * error + random.normal(size=200) * (0.3 if sign else 1.0))
    assert word in distance_sentence(compare_groups(table), correlate(table, ["euclidean"]))


def test_equal_scores_have_no_groups():
    table = pd.DataFrame({"error": np.ones(50), "euclidean": np.arange(50.0), "group": "middle"})
    correlations = correlate(table, ["euclidean"])
    assert compare_groups(table) is None and correlations[0]["correlation"] is None
    assert "no low-error" in distance_sentence(None, correlations)
    assert strongest_measure(table, ["euclidean"]) is None
    assert "cannot be predicted here" in prediction_sentence(None, {})


def test_the_strongest_measure_is_judged_on_keys_that_did_not_choose_it():
    """Of 19 measures that say nothing, the best has a correlation of 0.2 on the keys that chose it."""
    names = list(MEASURES)
    flattered, judged, held = [], [], []
    for seed in range(60):
        random = np.random.default_rng(seed)
        table = pd.DataFrame({name: random.normal(size=100) for name in names} | {"error": random.normal(size=100)})
        flattered.append(max(abs(entry["correlation"]) for entry in correlate(table[:50], names)))
        strongest = present(strongest_measure(table, names, seed))
        assert (strongest["chosen_on"], strongest["judged_on"], strongest["choices"]) == (50, 50, len(names))
        judged.append(strongest["correlation"])
        held.append(strongest["low"] <= 0 <= strongest["high"])
    assert np.mean(flattered) > 0.25 and abs(np.mean(judged)) < 0.08
    assert np.mean(held) > 0.85


def test_a_measure_that_orders_the_errors_is_chosen_and_described():
    random = np.random.default_rng(0)
    error = random.normal(size=200)
    table = pd.DataFrame({"error": error, "trace": random.normal(size=200), "moments": -error, "determinant": 1.0})
    strongest = present(strongest_measure(table, ["trace", "moments", "determinant"]))
    assert strongest["name"] == "moments" and strongest["correlation"] == pytest.approx(-1)
    assert strongest["label"] == MEASURES["moments"].label and strongest["choices"] == 2


@pytest.mark.parametrize(
    ("rho", "low", "words"),
    [(0.9, 0.8, "predicted well"), (0.6, 0.5, "in part"), (0.3, 0.1, "hardly"), (0.1, -0.1, "cannot")],
)
def test_the_sentence_about_prediction_is_no_bolder_than_its_numbers(rho, low, words):
    found = Prediction(400, rho, low, rho + 0.05, rho**2, 0.4)
    entry = {"label": "trace", "correlation": 0.2, "low": 0.1, "high": 0.3, "choices": 19}
    sentence = prediction_sentence(entry, {ALL: found, CIPHERTEXT: replace(found, low=-0.2)})
    assert words in sentence and "predict nothing" in sentence
    assert "19 measures, chosen on one half of the keys, is “trace”, 0.20 [0.10, 0.30] on the other half" in sentence
    assert "sort keys" in prediction_sentence(entry, {ALL: found, CIPHERTEXT: replace(found, low=0.2)})
