"""What attacks are asked for: plain text and numbers, as the command line states them."""

from __future__ import annotations

from dataclasses import dataclass

from wrongkey.errors import BadInput


@dataclass(frozen=True)
class AttackConfig:
    """Attacks as the command line states them; names as in `wrongkey.evaluation.config.SweepConfig` where they mean the
    same.

    model: None attacks waveforms alone, at 16 kHz: there is no task score then, and `block` must be given.
    trials: keys, each with the next victim. others: a corpus of people who are no victims; None takes every second
    speaker of `corpus`. per_speaker: utterances of each speaker for the task's score; ciphertext is all there is.
    amounts: seconds of ciphertext in place of those that an attack names for itself; empty for its own. recogniser: a
    model that hears the decrypted waveforms, for their WER beside SNR and STOI.
    """

    corpus: str
    model: str | None = None
    task: str = "asv"
    scheme: str = "rom"
    blocks: str | None = None
    block: int | None = None
    trials: int = 10
    seed: int = 0
    only: str | None = None
    background: str | None = None
    background_only: str | None = None
    per_speaker: int | None = None
    same_gender: bool = False
    text: str = "basic"
    channels: str = "refuse"
    recordings: str | None = None
    device: str = "auto"
    seconds: tuple[float, ...] = ()
    recogniser: str | None = None
    sessions: str = "any"

    def __post_init__(self) -> None:
        least = {"--trials": self.trials, "--block": self.block, "--per-speaker": self.per_speaker}
        for flag, value in least.items():
            if value is not None and value < 1:
                raise BadInput(f"{flag} {value} makes no sense: give 1 or more")
        if self.seed < 0:
            raise BadInput(f"--seed {self.seed} makes no sense: give 0 or more")
        if any(not seconds > 0 for seconds in self.seconds):
            raise BadInput("--seconds takes numbers above 0, such as 5,10,25, or inf for all there is")
        if self.model is None and self.block is None:
            raise BadInput("without --model an attack needs --block M: nothing else says the block size")
        if self.model is None and self.blocks not in (None, "samples"):
            raise BadInput(f"--blocks {self.blocks} cuts spectrograms: name the --model that makes them")
        if self.background is None and self.background_only is not None:
            raise BadInput("--background-only lists utterances of --background CORPUS: name that corpus too")
