"""The harness is sealed: attacks that cheat find no key, and what breaks down is not counted as resistance."""

import json
import multiprocessing
import stat
import threading
from multiprocessing import AuthenticationError, Pipe
from multiprocessing.connection import Client, Connection, Listener
from queue import SimpleQueue
from typing import Any, cast

import numpy as np
import pytest
import torch

from tests.attacks.harness import canaries
from tests.narrow import present
from wrongkey.attacks import open_attack
from wrongkey.attacks.base import Case
from wrongkey.attacks.harness import boundary, suite
from wrongkey.attacks.harness.config import AttackConfig
from wrongkey.attacks.harness.evidence import trial_of
from wrongkey.attacks.harness.results import AttackFolder
from wrongkey.attacks.harness.salt import Salt, attack_seed, kept_salt
from wrongkey.attacks.harness.target import Target
from wrongkey.attacks.harness.wire import NoMessage, packed, unpacked
from wrongkey.errors import BadInput
from wrongkey.evaluation.run_folder.successes import died
from wrongkey.keys import correct_key, get_scheme
from wrongkey.reports.attacks.rows import load_attacks

SIZE = 4


def run(folder, kind, trials=2, **settings):
    attack = kind(folder)
    config = AttackConfig("bundled", block=SIZE, trials=trials, seed=3)
    return suite.run_attacks(config, [attack], folder, keys=2, workers=1, **settings).rows(attack.name)


@pytest.mark.parametrize("kind", [canaries.Seeds, canaries.Closures, canaries.Garbage, canaries.Files])
def test_a_canary_finds_no_key(tmp_path, kind):
    rows = run(tmp_path / "run", kind)
    assert list(rows["failed"]) == ["", ""]
    assert (rows["key_error"] > 0.3).all()


@pytest.mark.filterwarnings("ignore")  # of modules whose attributes it looks at
def test_the_canaries_would_find_a_key_that_lies_about():
    """Each of them, on evidence through which a harness gives the key away."""
    key = correct_key("rom", SIZE, 7)
    rng = np.random.default_rng(0)
    plain = rng.standard_normal((SIZE + 2, SIZE))
    pairs = plain, plain @ key

    class Bag:
        key: np.ndarray
        setting = type("Setting", (), {"scheme": "rom", "size": SIZE})
        case, seed = Case(), 7
        known = pairs
        ask = error = None

        def encrypt(self, blocks):
            return blocks @ self.key

    bag, held = Bag(), [key]
    for kind in (canaries.Seeds, canaries.Garbage):
        assert np.allclose(kind().run(bag).key, held[0])
    bag.key = key
    assert np.allclose(canaries.Closures().run(bag).key, key)


def test_the_files_canary_would_find_a_salt(tmp_path):
    salt = Salt(bytes(range(32)))
    (tmp_path / "salt.json").write_text(json.dumps({"salt": salt.secret.hex()}))
    case = Case()
    setting = type("Setting", (), {"scheme": "rom", "size": SIZE})
    evidence = type("Evidence", (), {"setting": setting, "case": case})
    key = salt.of("files", case, 0).key(get_scheme("rom"), SIZE)
    assert any(
        np.shape(k) == (SIZE, SIZE) and np.allclose(k, key) for k in canaries.Files(tmp_path).candidates(evidence)
    )


def test_queries_are_counted_and_bounded_by_the_harness(tmp_path):
    rows = run(tmp_path / "run", canaries.Greedy)
    assert list(rows["queries"]) == [1, 1]
    assert rows["note"].str.contains("3 queries are asked, and 0 of the 1 of this case are left").all()
    assert (rows["key_error"] > 1).all()


def test_an_attack_that_breaks_down_has_no_scores(tmp_path):
    rows = run(tmp_path / "run", canaries.Break)
    assert rows["failed"].str.contains("LinAlgError: SVD did not converge").all()
    assert rows[["key_error", "snr"]].isna().all(axis=None)


def test_an_attack_that_takes_its_process_along_is_one_row(tmp_path):
    rows = run(tmp_path / "run", canaries.Dies)
    assert rows["failed"].str.contains("the process of the attack died").all() and len(rows) == 2


def test_a_trial_whose_process_died_is_tried_again_by_the_next_run(tmp_path):
    """Not by the same one, where a schedule asks for more trials."""

    def schedule(attack, cases, folder):
        yield cases, 1
        yield cases, 2

    first = run(tmp_path / "run", canaries.DiesOnce, schedule=schedule)
    assert [bool(failed) for failed in first["failed"]] == [True, False]
    assert died(first).tolist() == [True, False]
    again = run(tmp_path / "run", canaries.DiesOnce).sort_values("trial")
    assert list(again["trial"]) == [0, 1] and list(again["failed"]) == ["", ""]
    assert again["seconds"].iloc[1] == first["seconds"].iloc[1]
    assert not died(again).any()


def test_a_trial_whose_process_died_again_is_not_tried_a_third_time(tmp_path):
    run(tmp_path / "run", canaries.Dies, trials=1)
    again = run(tmp_path / "run", canaries.Dies, trials=1)
    assert again["failed"].iloc[0].startswith("died again: the process of the attack died") and not died(again).any()
    assert AttackFolder(tmp_path / "run").trials_done("dies", again["given"].iloc[0]) == {0}


def test_an_attack_leaves_nothing_behind_for_the_next_one(tmp_path):
    assert run(tmp_path / "one", canaries.Vandal, trials=1)["failed"].iloc[0] == ""
    assert run(tmp_path / "two", canaries.Next, trials=1)["failed"].iloc[0] == ""


def test_what_an_attack_returns_or_asks_is_its_own_fault(tmp_path):
    assert run(tmp_path / "a", canaries.Nonsense, trials=1)["failed"].str.contains("TypeError").all()
    rows = run(tmp_path / "b", canaries.Scalar, trials=1)
    assert rows["note"].str.contains("takes finite numbers of shape").all() and rows["queries"].iloc[0] == 0
    with pytest.raises(NoMessage, match="what is no message"):
        unpacked(b"\x80\x04]")


@pytest.mark.parametrize(
    "key",
    [
        np.eye(3),
        np.ones(SIZE),
        np.eye(SIZE, dtype=np.complex128),
        np.full((SIZE, SIZE), np.nan),
        np.full((SIZE, SIZE), "1"),
    ],
)
def test_a_key_of_another_shape_or_type_is_the_fault_of_the_attack(key):
    with pytest.raises(NoMessage, match="is no matrix of 4 x 4 finite numbers"):
        boundary._key(unpacked(packed("done", key=key)), SIZE)
    assert present(boundary._key(unpacked(packed("done", key=np.eye(SIZE))), SIZE)).shape == (SIZE, SIZE)
    assert boundary._key(unpacked(packed("done")), SIZE) is None


def test_a_message_that_is_too_large_or_lacks_a_part_is_the_fault_of_the_attack(tmp_path, monkeypatch):
    ours, theirs = Pipe()
    theirs.send_bytes(packed("done", {"success_claimed": True}))
    with pytest.raises(NoMessage, match="result lacks 'objective'"):
        boundary._served(ours, cast(Any, None), {})
    theirs.send_bytes(packed("done", dict.fromkeys(boundary.RESULT)))
    with pytest.raises(NoMessage, match="'queries' in the attack's result is of another type"):
        boundary._served(ours, cast(Any, None), {})
    theirs.send_bytes(packed("parcel", {"name": ["a", "list"]}))
    with pytest.raises(NoMessage, match="asked nothing"):
        boundary._served(ours, cast(Any, None), {})
    monkeypatch.setattr(boundary, "LARGEST", 200)
    rows = run(tmp_path / "run", canaries.Seeds, trials=1)
    assert rows["failed"].str.contains("sent more than").all() and rows["key_error"].isna().all()


@pytest.mark.parametrize(
    "fields", [{"texts": 5}, {"texts": [["hello"]]}, {"texts": [["hello", "no"]]}, {"texts": [5]}, {}]
)
def test_a_model_of_an_attack_that_answers_with_no_texts_breaks_the_attack_down(fields):
    ours, theirs = Pipe()
    theirs.send_bytes(packed("texts", fields))
    with pytest.raises(boundary.ModelFailed):
        boundary.Absent(ours, "toy").transcribe(torch.zeros(1, 4))


def test_who_does_not_know_the_password_is_not_taken_for_the_attack():
    accepted: SimpleQueue[Connection] = SimpleQueue()
    with Listener(authkey=b"right") as listener:
        threading.Thread(target=boundary._accept, args=(listener, accepted), daemon=True).start()
        with pytest.raises(AuthenticationError):
            Client(listener.address, authkey=b"wrong")
        with Client(listener.address, authkey=b"right") as client:
            client.send_bytes(b"here")
            assert accepted.get(timeout=10).recv_bytes() == b"here"


@pytest.mark.parametrize("length", [10, 100])
def test_temporary_files_with_a_long_path_stop_no_attack(length, tmp_path, monkeypatch):
    """As clusters have them: a socket's name ends at 107 bytes."""
    long = tmp_path / ("x" * length)
    long.mkdir()
    monkeypatch.setitem(multiprocessing.current_process().__dict__["_config"], "tempdir", str(long))
    config = AttackConfig("bundled", block=SIZE, trials=1, seed=3)
    folder = suite.run_attacks(config, [open_attack("known-plaintext")], tmp_path / "run", keys=2, workers=1)
    rows = folder.rows("known-plaintext")
    assert set(rows["failed"]) == {""} and rows["key_error"].min() < 1e-3


def test_a_run_again_with_its_salt_has_the_same_keys_and_without_it_others(tmp_path):
    def errors(name, **settings):
        return list(run(tmp_path / name, canaries.Seeds, **settings)["key_error"])

    first = errors("a")
    salt = tmp_path / "a/attacks/salt.json"
    assert stat.S_IMODE(salt.stat().st_mode) == 0o600
    assert errors("b", salt=salt) == first and salt.exists()
    assert present(load_attacks(tmp_path / "a")).cautions == ()
    assert "is not evidence of its own" in present(load_attacks(tmp_path / "b")).cautions[0]
    assert errors("c") != first
    with pytest.raises(BadInput, match="cannot be read"):
        errors("d", salt=tmp_path / "none.json")
    with pytest.raises(BadInput, match="has another salt than"):
        errors("c", trials=3, salt=salt)


def test_a_salt_is_in_no_file_while_attacks_run_and_back_at_any_end(tmp_path):
    path = tmp_path / "salt.json"
    with kept_salt(path) as first:
        assert not path.exists()
    with pytest.raises(RuntimeError, match="stopped"), kept_salt(path) as second:
        raise RuntimeError("stopped")
    with kept_salt(path) as third:
        assert first == second == third and first.secret.hex() not in repr(first)
    path.write_text("{}")
    with pytest.raises(BadInput, match="holds no salt"), kept_salt(path):
        pass


def test_no_two_trials_share_a_key_and_no_attack_seed_draws_one(tmp_path):
    target, salt = Target(AttackConfig("bundled", block=SIZE), tmp_path), Salt.new()
    one, other = canaries.Seeds(), canaries.Garbage()
    cases = [(one, Case(), 0), (one, Case(), 1), (one, Case(queries=1), 0), (other, Case(), 0)]
    keys = [trial_of(target, salt, *case).key.tobytes() for case in cases]
    assert len(set(keys)) == len(keys)
    assert len({attack_seed(seed, trial) for seed in range(30) for trial in range(30)}) == 900


def test_a_salt_that_was_named_stays_where_it_is(tmp_path):
    path = tmp_path / "attacks/salt.json"
    path.parent.mkdir()
    with kept_salt(path) as first:
        pass
    with kept_salt(path, path) as second:
        assert path.is_file()  # the user's only copy
    assert first == second
