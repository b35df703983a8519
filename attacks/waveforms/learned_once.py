"""What an attack learns from background speech is learned once, for all trials that have the same speech."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from wrongkey.attacks.base import BackgroundSpeech, Setting

Learned = TypeVar("Learned")


class LearnedOnce(Generic[Learned]):
    """A function of background speech and setting that keeps its last result.

    The same speech and setting are the same objects: comparing waveforms would cost more than it saves.
    """

    def __init__(self, learn: Callable[[BackgroundSpeech, Setting], Learned]) -> None:
        self._learn = learn
        self._last: tuple[BackgroundSpeech, Setting, Learned] | None = None

    def __call__(self, background: BackgroundSpeech, setting: Setting) -> Learned:
        """What is learned from this speech."""
        last = self._last
        if last is None or last[0] is not background or last[1] is not setting:
            last = background, setting, self._learn(background, setting)
            self._last = last
        return last[2]
