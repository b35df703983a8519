"""J and its gradient, against the definition written out."""

import numpy as np
import pytest
import torch

from tests.narrow import present
from wrongkey.attacks.solvers.haar import haar
from wrongkey.attacks.waveforms.lag_covariances import lags_for
from wrongkey.attacks.waveforms.linear_prediction_settings import DEFAULTS
from wrongkey.attacks.waveforms.prediction_objective import PredictionObjective
from wrongkey.attacks.waveforms.speech_states import SpeechStates, speech_states
from wrongkey.attacks.waveforms.toeplitz import log_determinants, recursion
from wrongkey.errors import BadInput

from .toy_speech import toy_blocks


def by_definition(states: SpeechStates, order: int, correction: float, key: torch.Tensor) -> torch.Tensor:
    size = states.size
    value = torch.zeros((), dtype=torch.float64)
    for weight, covariances in zip(states.weights, states.covariances, strict=True):
        r = [torch.zeros((), dtype=torch.float64) for _ in range(order + 1)]
        for lag, b in enumerate(covariances):
            decrypted = key @ b @ key.mT
            for i in range(size):
                for j in range(size):
                    if 0 <= (k := lag * size + j - i) <= order:
                        r[k] = r[k] + decrypted[i, j] / size
        r[0] = r[0] * (1 + correction)
        place = torch.arange(order + 1)
        value = value + weight * torch.stack(r)[(place[:, None] - place).abs()].logdet() / (order + 1)
    return value


@pytest.mark.parametrize(("size", "order"), [(3, 8), (4, 8), (5, 3), (2, 7)])
def test_value_and_gradient_are_those_of_the_definition(size: int, order: int) -> None:
    states = speech_states(toy_blocks(size, 1.0, 0), lags_for(order, size), 3, 0, 16_000.0, DEFAULTS)
    objective = PredictionObjective(states, order, 0.01)
    keys = haar(3, size, np.random.default_rng(0)).requires_grad_()
    expected = torch.stack([by_definition(states, order, 0.01, key) for key in keys])
    expected.sum().backward()
    value, gradient = objective.value_and_gradient(keys.detach())
    assert torch.allclose(value, expected.detach(), atol=1e-10)
    assert torch.allclose(objective.value(keys.detach()), value, atol=1e-12)
    assert torch.allclose(gradient, present(keys.grad), atol=1e-8)


def test_the_correction_can_be_changed() -> None:
    states = speech_states(toy_blocks(3, 1.0, 0), 3, 2, 0, 16_000.0, DEFAULTS)
    keys = haar(2, 3, np.random.default_rng(0))
    objective = PredictionObjective(states, 9, 0.5)
    before = objective.value(keys)
    assert torch.equal(objective.with_correction(0.1).value(keys), PredictionObjective(states, 9, 0.1).value(keys))
    assert torch.equal(objective.value(keys), before)


def test_the_right_key_makes_speech_most_predictable() -> None:
    plain = toy_blocks(4, 3.0, 1)
    objective = PredictionObjective(speech_states(plain, 4, 8, 0, 16_000.0, DEFAULTS), 12, 1e-3)
    right = objective.value(torch.eye(4, dtype=torch.float64)[None])
    assert float(right) < float(objective.value(haar(500, 4, np.random.default_rng(0))).min()) - 0.1


def test_speech_with_its_spectrum_upside_down_is_as_predictable_for_even_blocks() -> None:
    objective = PredictionObjective(speech_states(toy_blocks(4, 1.0, 0), 2, 2, 0, 16_000.0, DEFAULTS), 8, 1e-3)
    key = haar(1, 4, np.random.default_rng(0))
    turned = torch.tensor([1.0, -1, 1, -1], dtype=torch.float64).diag() @ key
    assert torch.allclose(objective.value(key), objective.value(turned), atol=1e-12)


def test_too_few_lags_for_the_order_are_refused() -> None:
    states = speech_states(toy_blocks(4, 1.0, 0), 2, 2, 0, 16_000.0, DEFAULTS)
    with pytest.raises(BadInput, match="order 9"):
        PredictionObjective(states, 9, 1e-3)


def test_log_determinants_and_slopes_of_toeplitz_matrices() -> None:
    frame = torch.from_numpy(np.random.default_rng(0).standard_normal((70, 30)))
    r = torch.stack([(frame[:, : 30 - k] * frame[:, k:]).sum(1) for k in range(9)], dim=1).requires_grad_()
    place = torch.arange(9)
    expected = r[:, (place[:, None] - place).abs()].logdet()
    expected.sum().backward()
    for values, slopes in (
        log_determinants(r.detach()),
        [part if part.ndim == 1 else part.mT for part in recursion(r.detach().mT, True)],
    ):
        assert torch.allclose(values, expected.detach(), atol=1e-10)
        assert torch.allclose(slopes, present(r.grad), atol=1e-9)
    assert torch.allclose(log_determinants(r.detach(), False)[0], expected.detach(), atol=1e-10)
