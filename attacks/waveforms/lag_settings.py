"""Settings that the attacks on waveforms under signs and permutations share."""

from __future__ import annotations

from dataclasses import dataclass

from wrongkey.attacks.waveforms.block_structure import StructureSettings


@dataclass(frozen=True)
class LagSettings(StructureSettings):
    """How lag covariances are estimated, clustered into states of speech, and judged.

    The fields of `StructureSettings` and these:

    Attributes
    ----------
    segment : float
        Length in seconds of the segments of ciphertext whose covariances are estimated.
    hop : float
        Seconds from the start of one segment to the start of the next.
    gate : float
        Segments that are this many decibels quieter than the loud ones (98th percentile) count as pauses.
    states : int
        The largest number of states of speech into which segments are clustered.
    least_segments : int
        The least number of segments per state; there are fewer states where there is less ciphertext.
    clustering_rounds : int
        Rounds of the k-means that clusters them.
    prediction_order : int
        Samples of the past from which speech is predicted.
    white_noise : float
        White noise added to the autocorrelation at lag 0, relative to it: coded speech has empty bands, whose
        predictability means nothing.
    decays : tuple of float
        The starts without background speech assume autocorrelations `decay ** lag`, one start for each decay.
    decay_white_noise : float
        White noise, as `white_noise`, added to these autocorrelations.
    predictable : float
        Success is claimed only if the entropy of what is decrypted lies below this, in nats per sample.
    judged_order : int
        Stationarity is judged at lags of 1 to this many samples.
    judged_run : int
        The two halves on which stationarity is judged take turns of this many segments.
    public_seconds : float
        Seconds of background speech that are learned from.
    public_lags : int
        Lags of 1 to this many samples are distinguished from one another and from larger ones.
    public_far_lag : int
        Larger lags are learned up to this many samples.
    public_far_step : int
        Larger lags are learned at steps of this many samples: covariances at neighbouring lags say the same.
    public_classed : int
        Queries, at least, from which the edges between the classes are learned.
    public_classes : int
        Classes, all of the same size, into which segments are divided by the concentration of their spectrum.
    public_bins : int
        Bins of the histograms of covariances.
    public_range : float
        Covariances of segments of mean power 1 whose absolute value exceeds this are counted in the outermost bins.
    """

    segment: float = 0.064
    hop: float = 0.032
    gate: float = 30.0
    states: int = 8
    least_segments: int = 20
    clustering_rounds: int = 30
    prediction_order: int = 16
    white_noise: float = 1e-3
    decays: tuple[float, ...] = (0.9, 0.4)
    decay_white_noise: float = 0.01
    predictable: float = -0.1
    judged_order: int = 8
    judged_run: int = 8
    public_seconds: float = 100.0
    public_lags: int = 8
    public_far_lag: int = 40
    public_far_step: int = 4
    public_classed: int = 20
    public_classes: int = 10
    public_bins: int = 24
    public_range: float = 1.2
