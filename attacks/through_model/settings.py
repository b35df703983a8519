"""What may be tuned in the attacks through a model, and in the search that they share with `informed`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LossSettings:
    """How answers are judged.

    Attributes
    ----------
    contrast_scale : float
        Factor of the cosines of embeddings before a softmax, about what GE2E learns (Wan et al., ICASSP 2018).
    """

    contrast_scale: float = 10.0


@dataclass(frozen=True)
class VerdictSettings(LossSettings):
    """When a key counts as one that works.

    Attributes
    ----------
    shuffles : int
        Shuffles of the labels; a key that works suits the true labels better than each of these.
    margin : float
        Relative difference of losses that is more than rounding.
    """

    shuffles: int = 40
    margin: float = 1e-4


@dataclass(frozen=True)
class SearchSettings(LossSettings):
    """How long a search with gradients looks for a key, and for which loss.

    Attributes
    ----------
    norm_weight : float
        Weight of the batch norms' divergence, in nats, beside the loss of the task.
    norm_shrink : float
        Weight of a batch norm relative to the one before it: late layers store much of what was trained on.
    large : int
        Number of elements N of a block beyond which random keys are all equally bad, so that the settings named
        `…_large` apply.
    guesses, guesses_large : int
        Random keys that are tried first.
    starts, starts_large : int
        The best of these, which go on.
    first_steps, first_steps_large : int
        Steps of the first descent.
    rounds : int
        Rounds of reflections, each followed by a descent.
    steps, steps_large : int
        Steps of each of these descents.
    batch : int
        Utterances of a step.
    rate : float
        Length of the first step of the first descent, in radians per coordinate. It is halved in
        each round.
    decays : tuple of float
        Decay of Adam's first and second moment.
    tried : int
        Neighbours of a key of a finite scheme that are tried: those that the gradient makes look best.
    drawn : int
        Keys that are drawn at random in place of neighbours, in a finite scheme in which no small steps are known.
    """

    norm_weight: float = 10.0
    norm_shrink: float = 0.5
    large: int = 16
    guesses: int = 48
    guesses_large: int = 12
    starts: int = 4
    starts_large: int = 2
    first_steps: int = 50
    first_steps_large: int = 120
    rounds: int = 3
    steps: int = 40
    steps_large: int = 50
    batch: int = 32
    rate: float = 0.15
    decays: tuple[float, float] = (0.9, 0.99)
    tried: int = 64
    drawn: int = 256


@dataclass(frozen=True)
class LearnedKeySettings(SearchSettings, VerdictSettings):
    """Settings of the attack `learned-key`, beside those of the search and of the verdict.

    Attributes
    ----------
    utterances : int
        Utterances that the model is asked about at most.
    of_a_speaker : int
        The same of one speaker.
    held_out : float
        Share of the speakers, or of the utterances, that is held out.
    compared : int
        Random keys whose losses on held-out speech the key must beat.
    """

    utterances: int = 192
    of_a_speaker: int = 4
    held_out: float = 1 / 3
    compared: int = 40


@dataclass(frozen=True)
class AnswersOnlySettings(VerdictSettings):
    """Settings of the attack `answers-only`, beside those of the verdict.

    Attributes
    ----------
    guessed : float
        Share of the queries that goes to random keys; the search begins at the best of them.
    most_guessed : int
        The largest number of these.
    sigma, later_sigma : float
        First standard deviation of a coordinate in a search, in radians: of the first search and of later ones.
    converged : float
        Standard deviation of a coordinate, in radians, at which a search ends.
    drawn : int
        Keys that are drawn at random in place of neighbours, in a finite scheme in which no small steps are known.
    """

    guessed: float = 0.25
    most_guessed: int = 200
    sigma: float = 0.3
    later_sigma: float = 0.15
    converged: float = 3e-3
    drawn: int = 256
