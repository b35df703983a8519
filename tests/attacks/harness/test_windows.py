"""What an attack on windows is given, and how the speech that it recovers is heard."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.attacks.harness.test_suite import SALT, Blind, Told
from tests.narrow import of_type, present
from wrongkey.attacks.base import Case, Threat
from wrongkey.attacks.harness import hearing, suite
from wrongkey.attacks.harness.config import AttackConfig
from wrongkey.attacks.harness.evidence import ciphertext, evidence_of, known_blocks, trial_of
from wrongkey.attacks.harness.registry import open_attack
from wrongkey.attacks.harness.target import Target
from wrongkey.errors import BadInput
from wrongkey.keys import draw_keys

SHARED: dict[str, Any] = {
    "corpus": "bundled",
    "model": "tests.toys:overlapping",
    "scheme": "rom+windows",
    "trials": 2,
    "seed": 3,
}


class Knowing(Told):
    """Recovers the key of windows from known windows."""

    def inapplicable(self, setting):
        return None


def windows(**changed) -> AttackConfig:
    return AttackConfig(**SHARED | changed)


@pytest.fixture(scope="module")
def target(tmp_path_factory) -> Target:
    return Target(windows(), tmp_path_factory.mktemp("windows"))


def test_the_ciphertext_is_the_encrypted_windows_of_the_speech(target) -> None:
    trial = trial_of(target, SALT, open_attack(Blind()), Case(seconds=1.0), 0)
    (first, *_) = ciphertext(target, trial, 1.0)
    assert target.setting.rate == 32_000 and target.speech_rate == 16_000 and first.shape[-1] <= 32_000
    rows = (first.numpy().reshape(-1, 10) @ trial.key.T)[:, :]
    np.testing.assert_allclose(rows[:-1, 5:], rows[1:, :5], atol=1e-9)  # neighbours share half their samples
    plain, cipher = known_blocks(target, trial, 20, "clean")
    np.testing.assert_allclose(plain[:-1, 5:], plain[1:, :5], atol=1e-12)
    np.testing.assert_allclose(cipher, plain @ trial.key, atol=1e-12)


def test_recovered_speech_is_heard_where_its_windows_overlap(target) -> None:
    trial = trial_of(target, SALT, open_attack(Blind()), Case(seconds=1.0), 0)
    speech = target.speech(trial.queries[0])
    assert speech.shape[-1] == trial.queries[0].shape[-1] // 2 + 5
    torch.testing.assert_close(target.windows.cut(speech), trial.queries[0], rtol=0, atol=1e-12)
    level, understood = hearing.measured(target, trial.queries[:1], trial.key, trial.key)
    assert level > 140 and understood == 1.0
    (wrong,) = draw_keys("rom", 10, 9, 0, 1)
    level, understood = hearing.measured(target, trial.queries[:1], trial.key, wrong)
    assert level < 10 and understood < 0.95


def test_the_attack_sees_the_model_that_reads_windows(target) -> None:
    class Holding(Blind):
        threat = Threat("Holds the encrypted model.", frozenset({"encrypted model"}))

    trial = trial_of(target, SALT, open_attack(Holding()), Case(), 0)
    handed, _ = evidence_of(target, trial, open_attack(Holding()), Case())
    layer = of_type(nn.Conv1d, present(handed.encrypted).layer)
    assert (layer.kernel_size, layer.stride) == ((10,), (10,))
    assert target.setting.block_size == 10 and target.setting.model.segments(torch.randn(6_000)).shape[-1] % 10 == 0


def test_attacks_run_on_windows_and_those_that_cut_ciphertext_say_that_they_do_not(tmp_path) -> None:
    class Collecting(Blind):
        name = "collecting"
        threat = Threat("Collects.", frozenset({"ciphertext of many"}))

    attacks = [Knowing(), open_attack("shared-samples"), Collecting()]
    folder = suite.run_attacks(windows(seconds=(4.0,)), attacks, tmp_path / "run", keys=2, workers=1)
    told = folder.rows("told")
    enough = told[told["given_known_blocks"] == 500]
    assert (enough["key_error"] < 1e-9).all() and (enough["snr"] > 140).all() and (enough["stoi"] > 0.999).all()
    shared = folder.rows("shared-samples")
    assert (shared["snr"] > 30).all() and shared["believed"].all()
    obstacle = present(folder.suite())["attacks"]["collecting"]["obstacle"]
    assert "windows are cut before encryption" in obstacle


def test_windows_need_a_model(tmp_path) -> None:
    with pytest.raises(BadInput, match="windows that a model's first layer reads: name it with --model"):
        Target(windows(model=None, block=10), tmp_path)
