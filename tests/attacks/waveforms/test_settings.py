"""Settings of the attacks on waveforms: frozen, and plain enough for a JSON file."""

import json
from dataclasses import FrozenInstanceError, asdict, fields
from typing import Any

import pytest

from wrongkey.attacks.waveforms.block_pattern import BlockPattern
from wrongkey.attacks.waveforms.independent_components import IndependentComponents
from wrongkey.attacks.waveforms.linear_prediction import LinearPrediction
from wrongkey.attacks.waveforms.polyphase import Polyphase
from wrongkey.attacks.waveforms.sample_order import SampleOrder
from wrongkey.attacks.waveforms.sign_chain import SignChain
from wrongkey.attacks.waveforms.signed_order import SignedOrder


@pytest.mark.parametrize(
    "attack",
    [
        SignChain(),
        SampleOrder(),
        SignedOrder(),
        BlockPattern(),
        Polyphase(),
        LinearPrediction(),
        IndependentComponents(),
    ],
)
def test_settings_are_frozen_documented_and_go_to_json_and_back(attack: Any) -> None:
    settings = attack.settings
    said = json.loads(json.dumps(asdict(settings), allow_nan=False))
    kind = type(settings)
    assert (
        kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in said.items()}) == settings
    )
    documented = "".join(base.__doc__ or "" for base in kind.__mro__)
    assert [field.name for field in fields(settings) if f"\n    {field.name} : " not in documented] == []
    with pytest.raises(FrozenInstanceError):
        settings.gate = 1.0
