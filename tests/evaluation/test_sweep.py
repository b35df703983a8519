"""The sweep end to end on bundled voices and toy models: resume, extension, refusal, variants, self-checks."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from tests import toys
from tests.narrow import of_type
from wrongkey.errors import BadInput
from wrongkey.evaluation.begin import set_batch_size
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.metrics.error_rates import eer
from wrongkey.evaluation.processes.lists import Lists
from wrongkey.evaluation.processes.workers import Batch, answer, run_shard
from wrongkey.evaluation.run_folder.folder import RunFolder
from wrongkey.evaluation.sweep import sweep
from wrongkey.evaluation.tasks.asv import SpeakerVerification
from wrongkey.reports import load_run
from wrongkey.reports.verdicts import session_caution

ROOT = Path(__file__).parents[2]
SHARED: dict[str, Any] = {"corpus": "bundled", "per_speaker": 2, "replicates": 5, "device": "cpu"}


def config(model: str = "raw3", **settings) -> SweepConfig:
    return SweepConfig(model=f"tests.toys:{model}", **SHARED | settings)


def scores(folder: Path) -> pd.DataFrame:
    table = pd.concat(pd.read_parquet(file) for file in sorted((folder / "scores").glob("*.parquet")))
    return table.sort_values(["condition", "metric", "key_index"], ignore_index=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One uninterrupted run of 6 keys."""
    return sweep(config(keys=6), tmp_path_factory.mktemp("runs") / "run", workers=1).path


def test_a_run_folder_holds_what_the_design_says(run):
    table = scores(run)
    incorrect = table[(table.condition == "incorrect") & (table.metric == "eer")]
    assert list(incorrect.key_index) == list(range(6))
    few = {"eer", "eer_effective", "min_dcf", "min_dcf_05", "cllr", "cllr_min", "d_sys", "d_ece", "worst_llr"}
    assert few <= set(table.metric) <= few | {"eer_female", "eer_male", "eer_least_protected"}
    assert (table.ci_low <= table.ci_high)[table.metric == "eer"].all()
    assert table[table.metric.str.startswith("min_dcf")].ci_low.isna().all()  # far fewer than 30 errors
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["keys_done"] == 6
    assert manifest["ended"] is not None
    assert manifest["corpus"]["recordings"] == "synthetic"
    assert (manifest["front_end"], manifest["sample_rate"]) == ("own", 16_000)  # toys have a gain
    assert manifest["trials"]["sessions"] == "unknown" and manifest["config"]["sessions"] == "any"
    assert "sessions" not in manifest["identity"]  # which trials are made, their digest says
    assert all(check["passed"] for check in manifest["self_checks"])
    assert len((run / "trials.txt").read_text().splitlines()) == incorrect.n.iloc[0] == 56


def test_the_correct_key_gives_the_plain_eer_and_incorrect_keys_do_not(run):
    table = scores(run).query("metric == 'eer'").set_index("condition").value
    assert table["correct"] == table["plain"]
    assert (table["incorrect"] != table["plain"]).any()


def test_scores_follow_from_explicitly_encrypted_audio(run):
    experiment = Experiment(config(keys=6))
    keys = experiment.incorrect.batch(0, 2)
    expected = experiment.scores(torch.cat([of_type(torch.Tensor, experiment.explicit(key)) for key in keys]))
    torch.testing.assert_close(experiment.scores(experiment.answers(keys)), expected, rtol=0, atol=1e-5)
    stated = scores(run).query("condition == 'incorrect' and metric == 'eer'").value
    target = of_type(SpeakerVerification, experiment.task).target
    np.testing.assert_allclose(stated[:2], eer(expected, target), atol=100 / 28)  # a trial may cross


def test_a_larger_number_of_keys_extends_the_run(run, tmp_path):
    folder = tmp_path / "run"
    sweep(config(keys=4), folder, workers=1)
    before = {file.name: file.stat().st_mtime_ns for file in (folder / "scores").glob("incorrect*")}
    sweep(config(keys=6), folder, workers=1)
    after = {file.name: file.stat().st_mtime_ns for file in (folder / "scores").glob("incorrect*")}
    assert before.items() < after.items()
    pd.testing.assert_frame_equal(scores(folder), scores(run))


def test_workers_and_shards_change_no_score(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def kept(name: str, workers: int) -> np.ndarray:
        folder = sweep(config(keys=6, keep_outputs=True), tmp_path / name, workers=workers).path
        table = pd.concat(pd.read_parquet(file) for file in (folder / "outputs").glob("*.parquet"))
        return np.stack(table.sort_values(["key_index", "condition"]).scores)

    np.testing.assert_allclose(kept("two", 2), kept("one", 1), atol=1e-5)


def test_threads_of_one_worker_do_not_mix_their_keys(run):
    """A Dask worker runs several shards at once in one process."""
    from concurrent.futures import ThreadPoolExecutor

    experiment = Experiment(config(keys=6))
    identity = tuple(experiment.identity().items())
    shared = (answer, config(keys=6), identity, Batch(2, "cpu"), Lists(), 1, None)
    with ThreadPoolExecutor(4) as pool:
        answered = list(pool.map(lambda i: run_shard(*shared, i, i + 1), range(6)))
    answered = pd.DataFrame([row for one in answered for row in one.shards[0].rows]).query("metric == 'eer'").value
    stated = scores(run).query("condition == 'incorrect' and metric == 'eer'").value
    np.testing.assert_allclose(answered, stated, atol=1e-9)


def test_a_worker_with_other_files_refuses(run):
    identity = dict(Experiment(config(keys=6)).identity()) | {"weights": "0" * 64}
    with pytest.raises(BadInput, match="sees another weights"):
        run_shard(answer, config(keys=6), tuple(identity.items()), Batch(2, "cpu"), Lists(), 1, None, 0, 1)


def test_another_function_with_the_same_weights_is_another_experiment(tmp_path, monkeypatch):
    sweep(config(keys=2), tmp_path / "run", workers=1)
    embed = toys.Toy.embed
    monkeypatch.setattr(toys.Toy, "embed", lambda self, queries: embed(self, queries) ** 3)
    with pytest.raises(BadInput, match="plain answers"):
        sweep(config(keys=4), tmp_path / "run", workers=1)


def test_shards_without_a_manifest_are_not_adopted(tmp_path):
    folder = sweep(config(keys=2), tmp_path / "run", workers=1).path
    (folder / "manifest.json").unlink()
    with pytest.raises(BadInput, match="no manifest"):
        sweep(config(keys=2, seed=5), folder, workers=1)


def test_two_processes_do_not_share_a_folder(tmp_path):
    with RunFolder(tmp_path / "run").locked(), pytest.raises(BadInput, match="being written"):
        sweep(config(keys=2), tmp_path / "run", workers=1)


@pytest.mark.parametrize(
    ("device", "rows"), [("cpu, 2 cores", 32), ("cpu, 64 cores", 32), ("NVIDIA H100", 4), (None, 4)]
)
def test_rows_are_kept_on_another_number_of_cores(device, rows):
    """An affinity or a quota is no other device; there the fastest rows are found anew."""
    experiment = Experiment(config(keys=2))
    experiment.tune = lambda segments=None: setattr(experiment.engine.batch, "rows", 4)  # type: ignore[method-assign]
    set_batch_size(experiment, {"batch": {"rows": 32}, "device": device})
    assert experiment.engine.batch.rows == rows


@pytest.mark.parametrize(("device", "rows"), [("cpu, 8 cores", 32), ("NVIDIA H100", 256), ("NVIDIA A100", 4)])
def test_rows_are_those_of_the_first_session_on_this_kind_of_device(device, rows, monkeypatch):
    """A run that was begun on a CPU may be continued on a GPU, and back: each has fastest rows of its own."""
    experiment = Experiment(config(keys=2))
    experiment.tune = lambda segments=None: setattr(experiment.engine.batch, "rows", 4)  # type: ignore[method-assign]
    monkeypatch.setattr("wrongkey.evaluation.begin.describe_device", lambda device_: device)
    sessions = [{"device": "cpu, 2 cores", "rows": 32}, {"device": "NVIDIA H100", "rows": 256}]
    sessions += [{"device": "NVIDIA H100", "rows": 128}, {"device": None}]
    set_batch_size(experiment, {"batch": {"rows": 128}, "device": "cpu, 2 cores", "sessions": sessions})
    assert experiment.engine.batch.rows == rows


def test_a_manifest_names_the_smallest_pass_where_memory_ran_out(tmp_path, monkeypatch):
    """And the rows that the run began with, which the same command takes again."""
    embed = toys.Toy.embed

    def embed_few(self, queries):
        if len(queries) > 2:
            raise torch.OutOfMemoryError("no memory")
        return embed(self, queries)

    with monkeypatch.context() as patch:
        patch.setattr(toys.Toy, "embed", embed_few)
        folder = sweep(config(keys=3, rows=8), tmp_path / "run", workers=1)
    assert of_type(dict, folder.manifest())["batch"] == {"rows": 8, "least_rows": 2}
    continued = sweep(config(keys=5, rows=8), folder.path, workers=1)
    assert of_type(dict, continued.manifest())["batch"] == {"rows": 8, "least_rows": 2}


def test_a_worker_that_began_with_few_rows_did_not_run_out_of_memory():
    """On another device than its caller's other rows are the fastest: a manifest would say that memory ran out."""
    experiment = Experiment(config(keys=2))
    experiment.engine.batch.rows = 4
    assert answer(experiment, 0, 1).rows is None
    experiment.engine.batch.fitted(4)
    assert answer(experiment, 0, 1).rows is None
    experiment.engine.batch.fitted(2)
    assert answer(experiment, 0, 1).rows == 2


def reasons(folder: RunFolder) -> list[str]:
    """Why each session of a run had its rows of a pass."""
    return [session["rows_because"] for session in of_type(dict, folder.manifest())["sessions"]]


def test_the_rates_of_the_passes_that_were_tried_are_in_the_manifest(tmp_path):
    folder = sweep(config(keys=2), tmp_path / "run", workers=1)
    (why,) = reasons(folder)
    tried = re.findall(r"([\d,]+) \(([\d,.]+) rows a second\)", why)
    rates = {int(rows.replace(",", "")): float(rate.replace(",", "")) for rows, rate in tried}
    assert why.startswith("the fastest of 1 (") and rates[of_type(dict, folder.manifest())["batch"]["rows"]] > 0
    assert len(rates) > 1 and max(rates, key=rates.__getitem__) == of_type(dict, folder.manifest())["batch"]["rows"]


def test_a_run_keeps_the_rows_of_a_pass_that_it_began_with(tmp_path):
    """Which rows are the fastest depends on what else the machine does, and scores depend on them by rounding."""
    experiment = Experiment(config(rows=2))
    experiment.tune()  # as a worker does that is on another device than its caller
    assert experiment.engine.batch.rows == 2
    folder = sweep(config(keys=3, rows=2), tmp_path / "run", workers=1)
    assert reasons(folder) == ["as asked for"]
    assert json.loads((folder.path / "manifest.json").read_text())["batch"] == {"rows": 2}
    with pytest.raises(BadInput, match="The run began with passes of 2 rows: leave --rows 4 out"):
        sweep(config(keys=5, rows=4), folder.path, workers=1)
    continued = sweep(config(keys=5), folder.path, workers=1).path
    assert reasons(folder) == ["as asked for", "those of an earlier session on such a device"]
    at_once = sweep(config(keys=5, rows=2), tmp_path / "other", workers=1).path
    pd.testing.assert_frame_equal(scores(continued), scores(at_once), check_exact=True)


KEYS = 60  # of a sweep that is stopped


def slow_sweep(out: Path, workers: int) -> subprocess.Popen[bytes]:
    """A sweep as a command of its own, which lasts for some seconds."""
    command = [sys.executable, "-m", "wrongkey", "sweep", "--model", "tests.toys:slow", "--keys", str(KEYS)]
    command += "--corpus bundled --per-speaker 2 --replicates 5 --device cpu".split()
    command += ["--workers", str(workers), "--out", str(out)]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The scores of that sweep, left alone."""
    out = tmp_path_factory.mktemp("whole") / "run"
    sweep = slow_sweep(out, workers=1)
    sweep.communicate(timeout=300)
    assert sweep.returncode == 0
    return scores(out)


@pytest.mark.parametrize(("stop", "workers"), [(signal.SIGKILL, 1), (signal.SIGINT, 1), (signal.SIGINT, 2)])
def test_a_stopped_sweep_continues_to_the_same_scores(stop, workers, whole, tmp_path):
    out = tmp_path / "run"
    stopped = slow_sweep(out, workers)
    deadline = time.monotonic() + 120
    while not list(out.glob("scores/incorrect-*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    stopped.send_signal(stop)
    _, said = stopped.communicate(timeout=60)
    assert stopped.returncode == (130 if stop == signal.SIGINT else -signal.SIGKILL)
    assert b"Traceback" not in said
    done = sum(pd.read_parquet(f).key_index.nunique() for f in out.glob("scores/incorrect-*"))
    assert 0 < done < KEYS, "stopped too late for the test to mean anything"
    continued = slow_sweep(out, workers)
    continued.communicate(timeout=300)
    assert continued.returncode == 0
    pd.testing.assert_frame_equal(scores(out), whole)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 1}, "seed"),
        ({"scheme": "flipping"}, "scheme"),
        ({"model": "raw10"}, "weights"),
        ({"per_speaker": 3}, "corpus"),
        ({"nontargets": 2}, "trials"),
        ({"variant": "test"}, "variant"),
    ],
)
def test_a_folder_of_another_experiment_is_refused_and_left_intact(run, change, said):
    before = scores(run)
    with pytest.raises(BadInput, match=said):
        sweep(config(**{"keys": 6} | change), run, workers=1)
    pd.testing.assert_frame_equal(scores(run), before)


@pytest.mark.parametrize(("scheme", "total"), [("shuffling", 5), ("flipping", 7)])
def test_a_small_key_space_is_enumerated(scheme, total, tmp_path):
    folder = sweep(config(scheme=scheme, keys=1000), tmp_path / "run", workers=1).path
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["keys_done"] == manifest["key_space"] == total
    assert manifest["enumerated"]
    sweep(config(scheme=scheme, keys=2), folder, workers=1)
    assert json.loads((folder / "manifest.json").read_text())["enumerated"], "fewer keys asked later change nothing"
    keys = Experiment(config(scheme=scheme)).incorrect.batch(0, total)
    assert len(np.unique(keys.reshape(total, -1), axis=0)) == total


def test_the_negated_key_of_flipping_is_found_by_enumeration():
    experiment = Experiment(config(scheme="flipping"))
    assert any(np.array_equal(key, -experiment.correct) for key in experiment.incorrect.batch(0, 7))


def test_only_the_test_side_is_wrong_in_the_variant_test():
    both, test = Experiment(config()), Experiment(config(variant="test"))
    answers = of_type(torch.Tensor, both.answers(both.incorrect.batch(0, 2)))
    plain = of_type(torch.Tensor, both.plain())
    trials = of_type(SpeakerVerification, both.task).trials
    wrong, right = answers[:, trials.test], plain[:, trials.enrolment].expand(2, -1, -1)
    expected = torch.nn.functional.cosine_similarity(right, wrong, dim=-1)
    torch.testing.assert_close(test.scores(answers), expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(both.scores(answers), expected, atol=1e-3)


def test_raw_scores_are_kept_where_asked(tmp_path):
    folder = sweep(config(keys=3, keep_outputs=True), tmp_path / "run", workers=1).path
    kept = pd.concat(pd.read_parquet(file) for file in (folder / "outputs").glob("*.parquet"))
    target = torch.tensor([line.startswith("1") for line in (folder / "trials.txt").read_text().splitlines()])
    rebuilt = eer(torch.tensor(np.stack(kept[kept.key_index >= 0].sort_values("key_index").scores)), target)
    stated = scores(folder).query("condition == 'incorrect' and metric == 'eer'").value
    np.testing.assert_allclose(rebuilt, stated, atol=1e-9)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("restless", "eval mode"),
        ("random_answers", "deterministic"),
        ("deaf", "does not go through 0 of its network"),
        ("overlapping", "give --block M"),
        ("not_a_model", "lacks network"),
        ("shapeless", "batch, dim"),
        ("missing", "cannot be imported"),
        ("broken", "FileNotFoundError"),
        ("batch_normalised", "stacked keys"),
    ],
)
def test_a_model_that_cannot_be_trusted_stops_the_run(model, said, tmp_path):
    with pytest.raises(BadInput, match=said):
        sweep(config(model, keys=2), tmp_path / "run", workers=1)
    assert not list((tmp_path / "run").glob("scores/*"))


def test_a_plain_module_with_the_least_is_a_model(tmp_path):
    folder = sweep(config("as_module", keys=2), tmp_path / "run", workers=1).path
    found = scores(folder)
    assert len(found[found.metric == "eer"]) == 3 + 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"keys": 0}, "--keys must be at least 1, not 0"),
        ({"keys": -5}, "--keys must be at least 1, not -5"),
        ({"block": 5}, "5"),
        ({"blocks": "triangles"}, "triangles"),
        ({"blocks": "tiles"}, "tiles"),
        ({"variant": "waveform"}, "--block M"),
        ({"variant": "waveform", "blocks": "frames"}, "leave --blocks frames out"),
        ({"only": "/nowhere/list"}, "/nowhere/list"),
        ({"task": "asr", "trials": "corpus"}, "pairs of utterances"),
        ({"scheme": "rot13"}, "rot13"),
        ({"variant": "none"}, "variant"),
        ({"sessions": "apart"}, "--sessions apart"),
        ({"sessions": "disjoint"}, "does not say the session of"),
        ({"sessions": "disjoint", "trials": "corpus"}, "a list of trials says its pairs itself"),
        ({"sessions": "disjoint", "task": "asr", "trials": None}, "only --task asv compares speakers"),
        ({"task": "asr"}, "cannot do --task asr"),
        ({"task": "tts"}, "tts"),
        ({"precision": "float8"}, "float8"),
        ({"device": "toaster"}, "toaster"),
        ({"per_speaker": 0}, "--per-speaker must be at least 1, not 0"),
        ({"corpus": "/nowhere"}, "/nowhere"),
        ({"trials": "/nowhere/trials"}, "/nowhere/trials"),
    ],
)
def test_bad_settings_are_one_sentence(change, said):
    with pytest.raises(BadInput, match=said) as error:
        Experiment(config(**change))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("precision", ["float64", "bfloat16"])
def test_other_precisions_pass_their_own_checks(precision, tmp_path):
    folder = sweep(config(keys=2, precision=precision), tmp_path / "run", workers=1).path
    assert json.loads((folder / "manifest.json").read_text())["config"]["precision"] == precision


def test_an_utterance_shorter_than_the_receptive_field_is_named(tmp_path):
    import soundfile

    corpus = tmp_path / "corpus"
    for speaker in ("ann", "bob"):
        for number, samples in enumerate((8_000, 10 if speaker == "bob" else 8_000)):
            (corpus / speaker).mkdir(parents=True, exist_ok=True)
            noise = np.random.default_rng(number).normal(0, 0.1, samples)
            soundfile.write(corpus / speaker / f"{number}.wav", noise, 16_000)
    with pytest.raises(BadInput, match="bob/1"):
        Experiment(SweepConfig(model="tests.toys:whole_utterances", corpus=f"folder:{corpus}", keys=2))


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="needs prlimit to make a disk that is full")
def test_a_full_disk_is_a_sentence_and_keeps_what_is_there(tmp_path):
    command = [sys.executable, "-m", "wrongkey", "sweep", "--model", "tests.toys:raw3", "--out", str(tmp_path / "run")]
    command += "--corpus bundled --per-speaker 2 --replicates 5 --workers 1 --keys 3 --device cpu".split()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    full = subprocess.run(
        ["prlimit", "--fsize=2000", *command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert full.returncode == 2
    assert "cannot be written" in full.stderr
    assert "Traceback" not in full.stderr
    assert subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=120).returncode == 0


def test_a_sweep_across_sessions_says_so_in_its_manifest(tmp_path):
    """VoxCeleb's layout: two speakers, two videos each, two recordings a video."""
    rng = np.random.default_rng(0)
    for place in (f"id1000{who}/video{v}/0000{n}.wav" for who in (1, 2) for v in "ab" for n in (1, 2)):
        path = tmp_path / "vox" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * rng.standard_normal(8_000), 16_000)
    found = {}
    for sessions in ("any", "disjoint"):
        settings = config(
            corpus=f"voxceleb1:{tmp_path / 'vox'}", trials=None, per_speaker=None, sessions=sessions, keys=1
        )
        folder = sweep(settings, tmp_path / sessions, workers=1).path
        found[sessions] = json.loads((folder / "manifest.json").read_text())
    facts = [(m["trials"]["sessions"], m["trials"]["within_session"], m["trials"]["target"]) for m in found.values()]
    assert facts == [("mixed", 4, 12), ("across", 0, 8)]
    assert found["any"]["identity"]["trials"] != found["disjoint"]["identity"]["trials"]
    cautions = [session_caution(load_run(tmp_path / name)) for name in found]
    assert [len(lines) for lines in cautions] == [1, 0] and "4 of 12 same-speaker trials" in cautions[0][0]
