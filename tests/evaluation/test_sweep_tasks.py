"""Sweeps of every task through first layers of every kind: what is in the run folder, and whether it is right."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests import toys
from tests.narrow import of_type, present
from wrongkey.errors import BadInput
from wrongkey.evaluation.checks import self_checks
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.sweep import sweep
from wrongkey.reports import write_report
from wrongkey.reports.content.heard import heard_table
from wrongkey.reports.runs import load_run
from wrongkey.reports.statistics.key_statistics import summarise

LAYERS = [
    ("overlapping", "samples", 10),
    ("raw3", "samples", 6),  # a block of two windows
    ("recurrent", "frames", 20),
    ("recurrent", "frames", 7),  # 20 bins are no whole blocks
    ("whisper_like", "frames", 20),
    ("whisper_like", "tiles", 3),
    ("subsampled", "tiles", 3),
    ("subsampled", "tiles", 6),
    ("overlapping_tiles", "tiles", 2),
]

BESIDE = ("mer", "empty", "hallucinated")


def config(model: str, task: str = "asv", **settings) -> SweepConfig:
    shared: dict[str, Any] = {"corpus": "bundled", "replicates": 5, "device": "cpu"}
    shared["per_speaker"] = 2 if task == "asv" else 1
    return SweepConfig(**{"model": f"tests.toys:{model}", "task": task} | shared | settings)


def table(folder, name="scores"):
    return pd.concat([pd.read_parquet(file) for file in sorted((folder / name).glob("*.parquet"))], ignore_index=True)


@pytest.mark.parametrize(("model", "blocks", "block"), LAYERS)
@pytest.mark.parametrize("scheme", ["rom", "shuffling"])
def test_the_engine_answers_as_explicit_encryption_does(model, blocks, block, scheme):
    if (model, block) == ("subsampled", 6):
        with pytest.raises(BadInput, match="20 bins"):
            Experiment(config(model, blocks=blocks, block=block))
        return
    experiment = Experiment(config(model, blocks=blocks, block=block, scheme=scheme, precision="float64"))
    incorrect = experiment.incorrect.batch(0, 2)
    answers = experiment.answers(incorrect)
    for key, answer in zip(incorrect, answers, strict=True):
        torch.testing.assert_close(experiment.explicit(key)[0], answer, rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(experiment.explicit(experiment.correct), experiment.plain(), rtol=1e-8, atol=1e-9)
    plain, wrong = (of_type(torch.Tensor, heard[0]) for heard in (experiment.plain(), answers))
    assert not torch.allclose(wrong, plain, rtol=1e-2)


def test_word_errors_follow_from_the_hypotheses_that_are_kept(tmp_path):
    import jiwer

    folder = sweep(config("subsampled", "asr", keys=3, keep_outputs=True), tmp_path / "run", workers=1).path
    kept = table(folder, "outputs")
    assert set(kept[kept.key_index < 0].condition) == {"plain", "correct", "plain_query"}
    stated = table(folder).query("condition == 'incorrect' and metric == 'wer'").set_index("key_index").value
    assert len(stated) == 3
    for key, rows in kept[kept.key_index >= 0].groupby("key_index"):
        error = jiwer.wer(list(rows.reference), [text.upper() for text in rows.hypothesis])
        assert stated[key] == pytest.approx(100 * error)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["trials"] is None and "metric" not in manifest["config"]
    assert load_run(folder).metrics == ["wer", "cer", "runaway", *BESIDE]
    assert manifest["corpus"]["words"] == table(folder).query("metric == 'wer'").n.iloc[0] > 0


def transcribed(folder, *texts):
    """A list of noise with transcripts, in NeMo's format."""
    import soundfile

    folder.mkdir()
    lines = []
    for number, text in enumerate(texts):
        noise = np.random.default_rng(number).normal(0, 0.1, 6_000 + 500 * number)
        soundfile.write(folder / f"{number}.wav", noise, 16_000)
        lines.append(json.dumps({"audio_filepath": f"{number}.wav", "text": text}))
    (folder / "list.jsonl").write_text("\n".join(lines))
    return {"corpus": f"jsonl:{folder / 'list.jsonl'}", "per_speaker": None}


def test_character_errors_speak_for_a_corpus_without_spaces(tmp_path):
    import jiwer

    speech = transcribed(tmp_path / "speech", "今天天气很好。", "我们去公园，好吗？", "再见")
    asked = config("subsampled", "asr", keys=2, keep_outputs=True, **speech)
    folder = sweep(asked, tmp_path / "run", workers=1).path
    kept, rows = table(folder, "outputs"), table(folder).query("condition == 'incorrect' and metric == 'cer'")
    for key, part in kept[kept.key_index >= 0].groupby("key_index"):
        heard = [" ".join(text.upper().split()) for text in part.hypothesis]
        stated = rows.set_index("key_index").value[key]
        assert stated == pytest.approx(100 * jiwer.cer(list(part.reference), heard))
    assert set(rows.n) == {15} and list(kept.reference[:3]) == ["今天天气很好", "我们去公园好吗", "再见"]
    run = load_run(folder)
    assert run.manifest["config"]["metric"] == run.metric == "cer"
    assert run.metrics == ["cer", "wer", "runaway", *BESIDE]
    shown = present(heard_table(summarise(run)))
    assert list(shown["Character errors"][:2]) == ["", f"{kept.character_errors[0]} of 6"]


def test_a_run_from_before_character_errors_is_extended_and_reported_without_them(tmp_path):
    speech = transcribed(tmp_path / "speech", "今天天气很好", "再见")
    asked = config("subsampled", "asr", keys=2, **speech)
    folder = sweep(asked, tmp_path / "run", workers=1).path
    for path in (folder / "scores").glob("*.parquet"):
        rows = pd.read_parquet(path)
        rows[rows.metric != "cer"].to_parquet(path, index=False)
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["tables"]  # as of a wrongkey that sealed nothing
    (folder / "manifest.json").write_text(json.dumps(manifest))
    sweep(replace(asked, keys=4), folder, workers=1)
    run = load_run(folder)
    assert run.keys_done == 4 and run.partial == {"cer": 2}
    assert run.metric == "wer" and run.metrics == ["wer", "runaway", *BESIDE]
    page = write_report([folder], tmp_path / "report.html").read_text()
    assert "CER, which only 2 of the keys have" in page and "CER, also measured" not in page


def test_a_run_whose_transcripts_had_other_words_is_not_mixed_with_new_keys(tmp_path):
    speech = transcribed(tmp_path / "speech", "either/or", "never")
    asked = config("subsampled", "asr", keys=1, **speech)
    manifest = sweep(asked, tmp_path / "run", workers=1).path / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"words": 3', '"words": 2'))
    with pytest.raises(BadInput, match="had 2 words when this run was made and have 3 now"):
        sweep(replace(asked, keys=2), tmp_path / "run", workers=1)
    text = manifest.read_text().replace('"words": 2', '"words": 3')
    manifest.write_text(text.replace('"text_version": 2', '"text_version": 1'))
    with pytest.raises(BadInput, match="normalised 'basic' differently"):
        sweep(replace(asked, keys=2), tmp_path / "run", workers=1)


def test_correct_keys_give_the_plain_score_in_every_task(tmp_path):
    for task in ("asv", "asr"):
        asked = config("whisper_like", task, blocks="frames", keys=2, keep_outputs=True)
        folder = sweep(asked, tmp_path / task, workers=1).path
        rows = table(folder)
        values = rows[rows.metric == rows.metric.iloc[0]].set_index("condition").value
        assert values["correct"] == values["plain"]
        outputs = table(folder, "outputs")
        said = outputs.columns.intersection(["scores", "hypothesis"])[0]
        heard = {name: [str(x) for x in part[said]] for name, part in outputs.fillna("incorrect").groupby("condition")}
        assert heard["correct"] == heard["plain"] if task == "asr" else True
        assert set(heard["incorrect"]) != set(heard["plain"])


def test_runaway_decoders_are_counted(tmp_path):
    folder = sweep(config("subsampled", "asr", keys=2, keep_outputs=True), tmp_path / "run", workers=1).path
    kept, rows = table(folder, "outputs"), table(folder).query("metric == 'runaway' and condition == 'incorrect'")
    expected = 100 * kept[kept.key_index >= 0].groupby("key_index").runaway.mean()
    np.testing.assert_allclose(rows.set_index("key_index").value, expected)
    toy, heard = toys.subsampled(), Experiment(config("subsampled", "asr")).plain()[0]
    plain = kept[kept.condition == "plain"]
    assert list(plain.hypothesis) == [hypothesis.text for hypothesis in heard]
    assert list(plain.runaway) == [hypothesis.runaway for hypothesis in heard]
    assert toy.transcribe(torch.zeros(1, 20, 30))[0].runaway == (toy.encode(torch.zeros(1, 20, 30))[0, 0].argmax() == 0)


def test_waveforms_are_encrypted_before_the_front_end(tmp_path):
    """Table IV: the plain model, its own front end, waveforms under each key."""
    from wrongkey.keys import encrypt_query

    settings = {"variant": "waveform", "block": 5, "keys": 2}
    experiment = Experiment(config("subsampled", "asr", **settings))
    key = experiment.incorrect.batch(0, 1)
    heard = experiment.answers(key)[0]
    toy = toys.subsampled()
    for waveform, hypothesis in zip(experiment.waveforms, heard, strict=True):
        pieces = toy.segments(toy.front_end(encrypt_query(waveform, key[0], dims=1)))
        assert hypothesis.text == " ".join(piece.text for piece in toy.transcribe(pieces))
    folder = sweep(config("subsampled", "asr", **settings), tmp_path / "run", workers=1).path
    assert set(table(folder).condition) == {"plain", "incorrect"}


def test_workers_change_no_hypothesis(tmp_path):
    asked = config("subsampled", "asr", keys=4, keep_outputs=True)
    one, two = (table(sweep(asked, tmp_path / str(n), workers=n).path, "outputs") for n in (1, 2))
    order = ["key_index", "condition", "utterance"]
    pd.testing.assert_frame_equal(
        one.sort_values(order, ignore_index=True)[two.columns.tolist()], two.sort_values(order, ignore_index=True)
    )


def test_accuracy_follows_from_the_classes_that_are_kept_whoever_computes_them(tmp_path):
    """Clips of three classes in folders, by one process and by two."""
    import soundfile

    for number, name in enumerate(toys.SpectrogramToy.classes):
        (tmp_path / "clips" / name).mkdir(parents=True)
        for clip in range(3):
            noise = np.random.default_rng(10 * number + clip).normal(0, 0.1 * (number + 1), 6_000)
            soundfile.write(tmp_path / "clips" / name / f"{clip}.wav", noise, 16_000)
    settings = {"corpus": f"classes:{tmp_path / 'clips'}", "per_speaker": None, "keys": 4, "keep_outputs": True}
    for workers in (1, 2):
        folder = sweep(config("subsampled", "asc", **settings), tmp_path / str(workers), workers=workers).path
        kept, rows = table(folder, "outputs"), table(folder).set_index(["condition", "key_index"]).value
        for key, part in kept[kept.key_index >= 0].groupby("key_index"):
            assert rows["incorrect", key] == pytest.approx(100 * (part.label == part.prediction).mean())
        assert rows["correct", -1] == rows["plain", -1]
        assert set(kept.label) == set(toys.SpectrogramToy.classes)


def test_a_recogniser_that_answers_with_other_than_texts_is_refused(monkeypatch):
    monkeypatch.setattr(toys.SpectrogramToy, "transcribe", lambda self, queries: "HELLO")
    with pytest.raises(BadInput, match="transcribe must return"):
        Experiment(config("subsampled", "asr"))


@pytest.mark.parametrize("rows", [1, 8, 64])
def test_a_model_that_depends_on_its_batch_is_found_whatever_the_batch(rows):
    experiment = Experiment(config("across_the_batch", "asr"))
    experiment.encrypted = None  # the other checks would find it too
    experiment.engine.batch.rows = rows
    with pytest.raises(BadInput, match="batch size"):
        self_checks(experiment, None)


def test_a_front_end_that_fails_is_one_sentence(monkeypatch):
    def front_end(self, waveform):
        raise IndexError("no such bin")

    monkeypatch.setattr(toys.SpectrogramToy, "front_end", front_end)
    with pytest.raises(BadInput, match=r"front end of model toy-tiles fails on utterance .*no such bin"):
        Experiment(config("subsampled", "asr"))


def test_a_recogniser_without_encode_is_checked_by_its_texts(tmp_path):
    folder = sweep(config("texts_only", "asr", keys=1), tmp_path / "run", workers=1).path
    checks = {c["name"]: c["value"] for c in json.loads((folder / "manifest.json").read_text())["self_checks"]}
    assert checks["correct key"] == 0.0
