"""The harness with attacks whose answers are known: an oracle that is told the key, and one that guesses nothing."""

import json
import shutil
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from tests.narrow import present
from wrongkey.attacks.base import Case, Recovery, Threat
from wrongkey.attacks.harness import hearing, results, suite
from wrongkey.attacks.harness.config import AttackConfig
from wrongkey.attacks.harness.evidence import ciphertext, evidence_of, known_blocks, trial_of
from wrongkey.attacks.harness.guessing import incorrect_errors
from wrongkey.attacks.harness.registry import open_attack
from wrongkey.attacks.harness.results import AttackFolder
from wrongkey.attacks.harness.salt import Salt
from wrongkey.attacks.harness.target import Target
from wrongkey.attacks.harness.trial import Attempt, run_trial
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import open_corpus
from wrongkey.evaluation.run_folder.folder import RunFolder, shard_name
from wrongkey.evaluation.run_folder.vocabulary import HEARD_COLUMNS
from wrongkey.keys import encrypt_query
from wrongkey.reports.attacks.rows import load_attacks

SALT = Salt(bytes(range(32)))


class Told:
    """Recovers the key from known plaintext by least squares: what the harness must score as recovered."""

    name = "told"
    family = 2
    threat = Threat("Knows enough blocks.", frozenset({"known plaintext", "ciphertext"}))

    def inapplicable(self, setting):
        return None if setting.scheme.name == "rom" else "Only for tests of ROM."

    def cases(self, setting):
        return [Case(known_blocks=1), Case(known_blocks=50 * setting.size)]

    def run(self, evidence):
        plain, cipher = evidence.known
        key = np.linalg.lstsq(plain, cipher, rcond=None)[0]
        return Recovery(key, success_claimed=len(plain) > evidence.setting.size, measured={"blocks": len(plain)})


class Blind(Told):
    """Answers the identity, whatever it is given."""

    name = "blind"
    family = 5
    threat = Threat("Knows nothing.", frozenset({"ciphertext"}))

    def cases(self, setting):
        return [Case(seconds=1.0), Case(seconds=float("inf"))]

    def run(self, evidence):
        assert evidence.known is None and evidence.encrypted is None and evidence.background is None
        return Recovery(np.eye(evidence.setting.size), success_claimed=False)


def speech(**changed):
    return AttackConfig(**{"corpus": "bundled", "block": 4, "trials": 2, "seed": 3, **changed})


class Singular(Blind):
    """Answers a matrix without an inverse."""

    name = "singular"
    any_key = True

    def inapplicable(self, setting):
        return None

    def run(self, evidence):
        return Recovery(np.ones((evidence.setting.size,) * 2), success_claimed=True)


def test_a_matrix_without_an_inverse_is_a_miss_and_no_fault_of_the_harness(tmp_path):
    folder = suite.run_attacks(speech(scheme="invertible"), [Singular()], tmp_path / "run", keys=1, workers=1)
    rows = folder.rows("singular")
    assert len(rows) == 4 and (rows["failed"] == "").all() and not rows["believed"].any()
    assert (rows["key_error"] > 1).all() and rows["note"].str.contains("nearly singular").all()


class Partly(Blind):
    """Blind, with needs of their own in each case."""

    name = "partly"
    threat = Threat("Knows nothing.", frozenset({"ciphertext", "other speech"}))

    def cases(self, setting):
        return [Case(seconds=1.0, needs=frozenset({"ciphertext"}))]

    def run(self, evidence):
        return Recovery(np.eye(evidence.setting.size))


def test_another_amount_of_ciphertext_extends_a_run(tmp_path):
    for seconds in ((3.0,), (2.0,)):
        folder = suite.run_attacks(speech(seconds=seconds), [Partly()], tmp_path / "run", keys=8, workers=1)
    suite_json = present(folder.suite())
    assert suite_json["config"]["seconds"] == [2.0, 3.0]
    both = {"2 s of ciphertext", "3 s of ciphertext"}
    assert set(folder.rows("partly")["given"]) == both
    assert suite_json["attacks"]["partly"]["cases"] == {given: {"needs": ["ciphertext"]} for given in both}


def test_a_schedule_says_which_trials_come_next_and_goes_by_the_rows_so_far(tmp_path):
    seen = []

    def schedule(attack, cases, folder):
        for some, trials in ((cases[1:], 1), (cases, 2)):
            yield some, trials
            seen.append((attack.name, len(folder.rows(attack.name))))

    folder = suite.run_attacks(speech(), [Told()], tmp_path / "run", keys=5, workers=1, schedule=schedule)
    assert seen == [("told", 1), ("told", 4)]
    rows = folder.rows("told")
    assert list(zip(rows["given_known_blocks"], rows["trial"], strict=True)) == [(200, 0), (1, 0), (1, 1), (200, 1)]
    assert len(folder.rows("random-keys")) == 5


class Collector(Blind):
    """Counts the samples that it was given."""

    name = "collector"
    threat = Threat("Collects.", frozenset({"ciphertext", "ciphertext of many"}))

    def cases(self, setting):
        return [Case(seconds=1.0)]

    def run(self, evidence):
        given = (*evidence.ciphertext, *evidence.enrolled.queries)
        samples = sum(query.shape[-1] for query in given)
        return Recovery(np.eye(evidence.setting.size), measured={"samples": samples})


def test_the_ciphertext_of_many_counts_as_had(tmp_path):
    folder = suite.run_attacks(speech(trials=1), [Collector()], tmp_path / "run", keys=1, workers=1)
    (row,) = folder.rows("collector").to_dict("records")
    samples = json.loads(row["measured"])["samples"]
    assert samples > 100 * 16_000 and row["had_seconds"] == pytest.approx(samples / 16_000)


def test_a_known_key_scores_as_recovered_and_an_unknown_one_does_not(tmp_path):
    folder = suite.run_attacks(speech(), [Told(), Blind()], tmp_path / "run", keys=8, workers=1)
    told, blind = folder.rows("told"), folder.rows("blind")
    enough = told[told["given_known_blocks"] == 200]
    assert (enough["key_error"] < 1e-9).all() and (enough["snr"] > 140).all() and (enough["stoi"] > 0.999).all()
    few = told[told["given_known_blocks"] == 1]
    assert few["key_error"].isna().all() and few["failed"].str.contains("returned no orthogonal matrix").all()
    assert (blind["key_error"] > 0.5).all() and (blind["snr"] < 10).all()
    assert set(blind["given"]) == {"1 s of ciphertext", "all ciphertext"}
    assert present(folder.suite())["setting"]["front_end"] == "waveform"  # without a model
    assert len(set(told["victim"])) == 2 and enough["believed"].all() and not blind["believed"].any()


def test_the_same_call_continues_and_another_target_is_refused(tmp_path):
    suite.run_attacks(speech(), [Blind()], tmp_path / "run", keys=8, workers=1)
    first = pd.read_parquet(tmp_path / "run/attacks/blind.parquet")
    suite.run_attacks(speech(trials=3), [Blind()], tmp_path / "run", keys=8, workers=1)
    second = pd.read_parquet(tmp_path / "run/attacks/blind.parquet")
    assert len(first) == 4 and len(second) == 6
    pd.testing.assert_frame_equal(first, second.head(4))
    with pytest.raises(BadInput, match="another seed"):
        suite.run_attacks(speech(seed=4), [Blind()], tmp_path / "run", keys=8, workers=1)


@dataclass(frozen=True)
class Effort:
    restarts: int = 8
    steps: tuple[int, ...] = (1, 2)


class Tuned(Blind):
    """Blind, with settings."""

    name = "tuned"

    def __init__(self, settings=Effort()):
        self.settings = settings

    def cases(self, setting):
        return [Case(seconds=1.0)]


def test_settings_are_recorded_and_others_are_refused(tmp_path):
    folder = suite.run_attacks(speech(trials=1), [Tuned()], tmp_path / "run", keys=1, workers=1)
    assert present(folder.suite())["attacks"]["tuned"]["settings"] == {"restarts": 8, "steps": [1, 2]}
    assert present(folder.suite())["attacks"]["random-keys"]["settings"] == {}
    with pytest.raises(BadInput, match=r"rows of tuned made with another setting restarts \(8 there, 4 now\)"):
        suite.run_attacks(speech(), [Tuned(Effort(restarts=4))], tmp_path / "run", keys=1, workers=1)
    folder = suite.run_attacks(speech(trials=2), [Tuned(), Told()], tmp_path / "run", keys=1, workers=1)
    assert len(folder.rows("tuned")) == 2 and len(folder.rows("told")) == 4


@dataclass
class Unfrozen:
    restarts: int = 8


@dataclass(frozen=True)
class Unrecordable:
    start: object = object


@pytest.mark.parametrize("settings", [Unfrozen(), Unrecordable(), {"restarts": 8}])
def test_settings_that_cannot_be_recorded_are_refused(settings):
    with pytest.raises(BadInput, match="The settings of attack 'tuned'"):
        open_attack(Tuned(settings))


def test_an_older_harness_is_readable_and_not_extended(tmp_path):
    with pytest.MonkeyPatch.context() as older:
        older.setattr(results, "HARNESS", 2)
        folder = suite.run_attacks(speech(trials=1), [Blind()], tmp_path / "run", keys=1, workers=1)
    found = present(folder.suite())
    del found["attacks"]["blind"]["settings"]
    folder.suite_path.write_text(json.dumps(found))
    assert "blind" in set(present(load_attacks(tmp_path / "run")).rows["attack"])
    with pytest.raises(
        BadInput, match=r"run was made by an earlier wrongkey \(harness 2, here 3\), which did not record"
    ):
        suite.run_attacks(speech(), [Blind()], tmp_path / "run", keys=1, workers=1)


def test_trials_do_not_depend_on_how_they_are_shared_out(tmp_path):
    target = Target(speech(), tmp_path)
    attack, case = open_attack(Told()), Case(known_blocks=50)
    one, again = (run_trial(target, SALT, Attempt(attack, case, 1)).row for _ in range(2))
    assert repr({**one, "seconds": 0}) == repr({**again, "seconds": 0})


def test_a_command_that_failed_before_any_row_claims_no_folder(tmp_path):
    with pytest.raises(BadInput, match="There is no model 'nope'"):
        suite.run_attacks(speech(recogniser="nope"), [Blind()], tmp_path / "run", keys=1, workers=1)
    folder, first = AttackFolder(tmp_path / "run"), speech(seed=4)
    folder.claim_attacks(first, Target(first, folder.path), [], None)  # as one that is killed at once
    found = suite.run_attacks(speech(trials=1), [Blind()], folder.path, keys=1, workers=1)
    assert present(found.suite())["config"]["seed"] == 3 and len(found.rows("blind")) == 2


@pytest.mark.parametrize(
    ("failed", "line"),
    [
        (["Zero: one.", "Zero: one."], "blind, all: all 2 trials broke down (Zero: one)"),
        (["Zero: one"], "blind, all: 1 trial broke down (Zero: one)"),
        (
            ["Zero: one", ""],
            "blind, all: 1 trial broke down; 0 of 1 keys broken, median SNR 1 dB; 2.0 s of CPU each",
        ),
    ],
)
def test_the_log_says_why_trials_broke_down(tmp_path, monkeypatch, failed, line):
    rows = [
        {"given": "all", "failed": why, "key_error": 1.0, "snr": 1.0, "error": np.nan, "seconds": 2} for why in failed
    ]
    monkeypatch.setattr(AttackFolder, "rows", lambda self, attack: pd.DataFrame(rows))
    assert AttackFolder(tmp_path).describe("blind", "all") == line


def test_the_log_says_exact_and_the_plain_error_beside_the_error(tmp_path, monkeypatch):
    row = {"given": "as it is", "failed": "", "key_error": 1e-9, "snr": 150.0, "error": 3.6, "seconds": 2}
    monkeypatch.setattr(AttackFolder, "rows", lambda self, attack: pd.DataFrame([row]))
    folder = AttackFolder(tmp_path)
    assert folder.describe("blind", "as it is").startswith("blind: 1 of 1 keys broken, decryption exact, error 3.6 %;")
    monkeypatch.setattr(AttackFolder, "_plain_error", 3.2)
    assert "decryption exact, error 3.6 % (plain model 3.2 %); 2.0 s" in AttackFolder(tmp_path).describe(
        "blind", "as it is"
    )


def test_stages_say_which_attack_and_how_many_trials(tmp_path):
    said = []
    suite.run_attacks(
        speech(), [Blind()], tmp_path / "run", keys=8, workers=1, stages=lambda *stage: said.append(stage)
    )
    assert said[0] == ("attack 1 of 2, random-keys", 0, 8) and said[8] == ("attack 1 of 2, random-keys", 8, 8)
    assert {name.partition(", blind")[0] for name, *_ in said[9:]} == {"attack 2 of 2"}
    assert said[-1][1] == said[-1][2]


def test_an_attack_that_does_not_apply_is_named_with_its_reason(tmp_path):
    folder = suite.run_attacks(speech(scheme="flipping"), [Told()], tmp_path / "run", keys=8, workers=1)
    assert present(folder.suite())["attacks"]["told"]["obstacle"] == "Only for tests of ROM."
    assert folder.rows("told").empty


def test_the_task_is_scored_under_the_recovered_key(tmp_path):
    speakers = open_corpus("bundled").speakers[:8]
    few = [u.id for u in open_corpus("bundled").select(per_speaker=2, speakers=speakers).utterances]
    (tmp_path / "few.txt").write_text("\n".join(few))
    config = speech(model="asv-raw3", block=None, trials=1, only=str(tmp_path / "few.txt"))
    folder = suite.run_attacks(config, [Told()], tmp_path / "run", keys=8, workers=1)
    rows = folder.rows("told")
    target = Target(config, tmp_path / "run")
    plain = target.errors(target.experiment, target.sweep_key, target.sweep_key[None])[0]
    assert rows["error"].iloc[-1] == pytest.approx(plain, abs=1e-3)
    assert present(folder.suite())["setting"]["front_end"] == "own"  # pre-emphasis
    guess = folder.rows("incorrect-keys").iloc[0]
    assert guess["queries"] == 8 and guess["key_error"] > 0.1
    assert guess["objective"] == incorrect_errors(tmp_path / "run", "eer").min()


def test_a_list_of_victims_that_cannot_be_written_is_a_sentence_and_one_of_other_bytes_is_written_again(tmp_path):
    target = Target(speech(model="asv-raw3", block=None), tmp_path)
    listed = tmp_path / "attacks" / "victims.txt"
    listed.mkdir(parents=True)
    with pytest.raises(BadInput, match=r"victims\.txt cannot be written .*choose another --out"):
        target.sweep_config(target.victims_corpus, "victims.txt")
    listed.rmdir()
    listed.write_bytes(b"\xff")  # no UTF-8
    target.sweep_config(target.victims_corpus, "victims.txt")
    assert listed.read_text().splitlines() == [one.id for one in target.victims_corpus.utterances]


def test_evidence_is_what_the_threat_model_grants_and_no_more(tmp_path):
    target = Target(speech(), tmp_path)
    trial = trial_of(target, SALT, Blind(), Case(seconds=1.0), 0)
    evidence, oracles = evidence_of(target, trial, Blind(), Case(seconds=1.0))
    assert not oracles.functions and not evidence.asks and evidence.known is None and evidence.background is None
    assert sum(len(query) for query in evidence.ciphertext) == 16_000
    whole = ciphertext(target, trial, float("inf"))
    assert len(whole) == len(trial.queries)
    np.testing.assert_allclose(whole[0], encrypt_query(trial.queries[0], trial.key, blocks="samples"))


def test_known_plaintext_is_as_good_as_it_says(tmp_path):
    target = Target(speech(), tmp_path)
    trial = trial_of(target, SALT, Told(), Case(), 0)
    plain, cipher = known_blocks(target, trial, 40, "clean")
    np.testing.assert_allclose(plain @ trial.key, cipher, atol=1e-12)
    rounded = known_blocks(target, trial, 40, "16 bit")[1]
    assert 0 < np.abs(rounded - cipher).max() <= 2.0**-16
    noisy = known_blocks(target, trial, 400, "10 dB")[0]
    clean = known_blocks(target, trial, 400, "clean")[0]
    assert 10 * np.log10((clean**2).sum() / ((noisy - clean) ** 2).sum()) == pytest.approx(10, abs=0.5)


def test_victims_and_background_speakers_are_different_people(tmp_path):
    target = Target(speech(), tmp_path)
    assert not set(target.victims_corpus.speakers) & set(target.background_corpus.speakers)
    with pytest.raises(BadInput, match="victim and in --background"):
        Target(speech(background="bundled"), tmp_path)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"block": None}, "needs --block"),
        ({"trials": 0}, "--trials must be at least 1, not 0"),
        ({"seconds": (0.0,)}, "--seconds"),
        ({"blocks": "tiles"}, "name the --model"),
        ({"background_only": "x.txt"}, "--background"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changed, sentence):
    with pytest.raises(BadInput, match=sentence):
        speech(**changed)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A run folder of two attacks."""
    folder = tmp_path_factory.mktemp("sound") / "run"
    suite.run_attacks(speech(), [Blind(), Told()], folder, keys=8, workers=1)
    return folder


@pytest.mark.parametrize("damage", ["cut", "edit", "strip", "rename"])
def test_damaged_results_are_named_and_made_again(sound, tmp_path, damage):
    shutil.copytree(sound, tmp_path / "run")
    path = tmp_path / "run/attacks/blind.parquet"
    first = pd.read_parquet(path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:100])
    elif damage == "strip":
        first.head(2).to_parquet(path)
    elif damage == "edit":
        metadata = pq.read_schema(path).metadata
        table = pa.Table.from_pandas(first.assign(snr=100.0)).replace_schema_metadata(metadata)
        pq.write_table(table, path)
    else:
        path.with_name("told.parquet").replace(path)
    said: list[str] = []
    suite.run_attacks(speech(), [Blind()], tmp_path / "run", keys=8, workers=1, report=said.append)
    heard = [line for line in said if not line.startswith("Reading")]
    assert [line for line in heard if "blind.parquet is damaged" in line] == heard[:1]
    pd.testing.assert_frame_equal(pd.read_parquet(path).drop(columns="seconds"), first.drop(columns="seconds"))


def test_results_of_an_older_wrongkey_are_kept_and_guarded_from_then_on(tmp_path):
    folder = suite.run_attacks(speech(), [Blind()], tmp_path / "run", keys=8, workers=1)
    path = tmp_path / "run/attacks/blind.parquet"
    first = pd.read_parquet(path)
    first.to_parquet(path)
    folder.suite_path.write_text(folder.suite_path.read_text().replace('"tables"', '"unknown"'))
    said: list[str] = []
    suite.run_attacks(speech(), [Blind()], tmp_path / "run", keys=8, workers=1, report=said.append)
    assert [line for line in said if not line.startswith("Reading")] == []
    pd.testing.assert_frame_equal(pd.read_parquet(path), first)
    assert pq.read_schema(path).metadata[b"wrongkey"]


def test_a_broken_result_file_is_named(tmp_path):
    folder = AttackFolder(tmp_path)
    (tmp_path / "attacks").mkdir()
    (tmp_path / "attacks/blind.parquet").write_bytes(b"no parquet")
    with pytest.raises(BadInput, match=r"blind\.parquet is broken"):
        folder.rows("blind")


def test_guesses_without_the_metric_that_speaks_are_not_judged_by_the_others(tmp_path) -> None:
    setting = {"task": "asr", "model": "toy", "corpus": "toy", "scheme": "rom", "block_size": 4, "dims": 1}
    folder, identity = RunFolder(tmp_path), {"seed": 0}
    folder.claim(identity)
    folder.write_manifest({"config": {**setting, "keys": 2}, "identity": identity})
    score = {**setting, "condition": "incorrect", "key_seed": 0, "ci_low": 0.0, "ci_high": 100.0, "n": 10}
    for key, measured in enumerate(({"wer": 100.0}, {"wer": 100.0, "cer": 40.0})):
        rows = [{**score, "key_index": key, "metric": metric, "value": value} for metric, value in measured.items()]
        folder.write_scores(shard_name(key, key + 1), rows)
    assert list(incorrect_errors(tmp_path, "wer")) == [100.0, 100.0]
    with pytest.raises(BadInput, match="lacks CER for keys that an earlier wrongkey asked"):
        incorrect_errors(tmp_path, "cer")


def test_words_are_counted_under_both_keys_and_plain_speech_is_heard_once(tmp_path, monkeypatch):
    target = Target(speech(), tmp_path)
    trial = trial_of(target, SALT, Told(), Case(), 0)
    trial = replace(trial, utterances=tuple(replace(u, text="one two") for u in trial.utterances))
    heard = []

    def transcript(recogniser, waveform):
        heard.append(waveform)
        plain = any(q.shape == waveform.shape and torch.allclose(q, waveform) for q in trial.queries)
        return "one two" if plain else "one"

    monkeypatch.setattr(hearing, "transcript", transcript)
    monkeypatch.setattr(target, "recogniser", "a recogniser")
    for _ in range(2):
        found = hearing.heard(target, trial, np.eye(4), seen=0)
        assert tuple(found) == HEARD_COLUMNS and found["heard_seconds"] > 0
        assert (found["wer"], found["wer_correct"]) == (50.0, 0.0)
    assert len(heard) == 3 * len(trial.queries)
