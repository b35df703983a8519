"""Settings of the attack `linear-prediction`."""

from __future__ import annotations

from dataclasses import dataclass

from wrongkey.attacks.solvers.orthogonal_descent import DescentSettings
from wrongkey.attacks.waveforms.block_structure import StructureSettings


@dataclass(frozen=True)
class Effort:
    """How hard to search for keys of one block size; `LinearPredictionSettings` describes the fields."""

    starts: int
    kept: int
    variants: int
    rounds: int
    patience: int
    most_runs: int
    agreeing_runs: int


@dataclass(frozen=True)
class LinearPredictionSettings(DescentSettings, StructureSettings):
    """How linear prediction estimates its objective and searches for its minimum.

    The fields of `DescentSettings`, of `StructureSettings`, and these.
    The fields from `starts` to `agreeing_runs` have one value for each range of block sizes, which `sizes` divides.

    Attributes
    ----------
    largest : int
        The largest block size in samples; the search was never run on larger ones.
    order : int
        Order of prediction in samples; a block and a quarter where that is more. 24 samples are 1.5 ms at 16 kHz.
    segment : float
        Length in seconds of the segments of ciphertext whose covariances are estimated.
    hop : float
        Seconds from the start of one segment to the start of the next.
    gate : float
        Segments that are this many decibels quieter than the loud ones (98th percentile) count as pauses.
    states : int
        The largest number of states of speech into which segments are clustered.
    least_segments : int
        The least number of segments per state on average: fewer would make its covariances the noise of single ones.
    clustering_rounds : int
        Rounds, at most, of the k-means that clusters them.
    correction : float
        White-noise correction of the autocorrelation at lag 0, relative to it, where runs are compared.
    polish_states : int
        As `states`, for the final descent.
    polish_correction : float
        As `correction`, for the final descent.
    sizes : tuple of int
        The largest block sizes, in samples, of all ranges but the last.
    starts : tuple of int
        Keys that a run starts from, half of them from average speech and half random.
    kept : tuple of int
        Keys that go on from one round to the next.
    variants : tuple of int
        Variants of these keys that a round tries.
    rounds : tuple of int
        The most rounds at one level of the correction.
    patience : tuple of int
        Rounds without a better key after which a level ends.
    most_runs : tuple of int
        The most runs from independent starts.
    agreeing_runs : tuple of int
        Runs that must agree for success to be claimed; no more runs are made then. Three for the largest blocks, where
        two of three runs were seen to agree on a wrong key (20 samples, one of five victims, 13 dB).
    levels : tuple of float
        White-noise corrections through which a run descends.
    fine : float
        Correction from which on the strong directions are settled: there are fewer variants, and one round without a
        better key ends the level.
    fine_variants : int
        By this number the variants are divided there.
    least_gain : float
        A key counts as better only by more than this, times the square root of the correction.
    screened : int
        Signed permutations that are evaluated for each one that is descended from.
    niche : float
        Keys count as the same if what they decrypt correlates by more than 1 less this multiple of the correction.
    most_niche : float
        The largest difference of this correlation from 1.
    halving_steps : tuple of int
        Steps of descent of all variants, and of the better half.
    kept_steps : int
        The most steps of descent of the keys that are kept.
    level_steps : int
        The most steps of descent of the kept keys at the start of a level.
    run_steps : int
        The most steps of descent of the best key of a run.
    polish_steps : int
        The most steps of the final descent.
    tolerance : float
        A descent of the search ends where a step gains less than this.
    run_tolerance : float
        The same of the best key of a run.
    polish_tolerance : float
        The same of the final descent.
    average : tuple of float
        Prediction polynomial of average speech at 16 kHz, from which half of the starts come: of the mean
        autocorrelation of 100 utterances of 65 adults of speechocean762's train part.
    average_grid : int
        Frequencies at which its spectrum is computed.
    emphasis : float
        Coefficient of the pre-emphasis that every second start from average speech assumes.
    jitter : float
        Standard deviation, in ranks, by which these starts disturb the order of directions by energy.
    agreed : float
        Two runs agree if what their keys decrypt correlates by more than this.
    halves : float
        Success is claimed only if what the key decrypts correlates by so much, 0 to 1, with what that of each half of
        the ciphertext does. An error of the key of 0.1, which counts as recovered, means 0.995.
    largest_defect : float
        Success is claimed only if the stationarity defect, 0 to 1, lies below this.
    """

    largest: int = 20
    order: int = 24
    segment: float = 0.064
    hop: float = 0.032
    gate: float = 30.0
    states: int = 8
    least_segments: int = 8
    clustering_rounds: int = 30
    correction: float = 1e-3
    polish_states: int = 32
    polish_correction: float = 1e-4
    sizes: tuple[int, ...] = (5, 12)
    starts: tuple[int, ...] = (48, 96, 128)
    kept: tuple[int, ...] = (6, 12, 16)
    variants: tuple[int, ...] = (48, 96, 192)
    rounds: tuple[int, ...] = (3, 8, 12)
    patience: tuple[int, ...] = (1, 3, 4)
    most_runs: tuple[int, ...] = (4, 4, 6)
    agreeing_runs: tuple[int, ...] = (2, 2, 3)
    levels: tuple[float, ...] = (3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
    fine: float = 0.1
    fine_variants: int = 3
    least_gain: float = 1e-4
    screened: int = 8
    niche: float = 0.05
    most_niche: float = 0.03
    halving_steps: tuple[int, ...] = (12, 24)
    kept_steps: int = 100
    level_steps: int = 60
    run_steps: int = 300
    polish_steps: int = 400
    tolerance: float = 1e-5
    run_tolerance: float = 1e-8
    polish_tolerance: float = 1e-9
    average: tuple[float, ...] = (1.0, -0.632, -0.200, -0.185, 0.091, -0.059, 0.105, -0.066, 0.108)
    average_grid: int = 8192
    emphasis: float = 0.97
    jitter: float = 1.0
    agreed: float = 0.999
    halves: float = 0.995
    largest_defect: float = 0.2

    def effort(self, size: int) -> Effort:
        """The effort for blocks of `size` samples."""
        at = sum(size > largest for largest in self.sizes)
        return Effort(
            self.starts[at],
            self.kept[at],
            self.variants[at],
            self.rounds[at],
            self.patience[at],
            self.most_runs[at],
            self.agreeing_runs[at],
        )


DEFAULTS = LinearPredictionSettings()
