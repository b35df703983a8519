"""Attacks on blocks that are part of another attack, which knows of the blocks and judges the whole key."""

from __future__ import annotations

from wrongkey.attacks.waveforms.sample_order import SampleOrder, SampleOrderSettings
from wrongkey.attacks.waveforms.sign_chain import SignChain, SignChainSettings
from wrongkey.attacks.waveforms.signed_order import SignedOrder, SignedOrderSettings


def sample_order() -> SampleOrder:
    """Of keys that permute."""
    return SampleOrder(SampleOrderSettings(known=True))


def sign_chain() -> SignChain:
    """Of keys that turn signs."""
    return SignChain(SignChainSettings(known=True))


def signed_order() -> SignedOrder:
    """Of keys that do both."""
    return SignedOrder(SignedOrderSettings(known=True))
