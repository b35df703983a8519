"""What may be tuned in the attack on encrypted spectrograms."""

from __future__ import annotations

from dataclasses import dataclass

from wrongkey.attacks.solvers.orthogonal_descent import DescentSettings


@dataclass(frozen=True)
class SpectrogramMomentsSettings(DescentSettings):
    """How long the attack searches, with which noise, and what it accepts.

    Noise is white noise in the public statistics, in units of the mean variance of a row of blocks. J is the objective
    of `wrongkey.attacks.spectrograms.likelihood`; it has no unit, and is 1/2 for plain public speech. The fields of
    `DescentSettings` and these.

    Attributes
    ----------
    largest : int
        Largest N that is attacked. Beyond it, moments of neighbourhoods take more memory than they are worth.
    noise : float
        Noise in the public statistics, except where another setting names it.
    negligible : float
        Terms of J smaller than this, relative to the largest, are left out.
    sign_difference : float
        Difference of J between a key and its negative from which the means decide the sign; below it the skewness does.
    skewness_queries : int
        Queries of background speech whose skewness is measured.
    fits : float
        A key counts as recovered only where its J is below this share of the median J of random keys.
    random_keys : int
        Number of these random keys.
    loose : float
        A key counts as recovered only where its J is below this value.
    flip_starts : int
        Sign patterns from which single changes of sign begin.
    order_rounds : int
        Rounds of exchanges at most, at the end of a search for an order.
    annealing_noises : tuple of float
        Noise in the public statistics during annealing; there is one annealing for each number.
    annealing_work : float
        Multiplications of one annealing.
    annealing_least_steps : int
        Exchanges that an annealing tries, at least.
    annealing_sampled : int
        Random exchanges whose median change is the unit of temperature.
    annealing_negligible : float
        Terms of J that annealing leaves out, relative to the largest.
    exchanges : int
        Exchanges of one annealing of the bins of frames.
    rough_temperatures, likelihood_temperatures : tuple of float
        First and last temperature of annealing the bins of frames by their statistics, and by J, in units of the median
        change that an exchange of neighbours makes.
    frame_starts : int
        Annealings of the bins of frames.
    frame_noise : float
        Noise in the public statistics while bins are annealed by J.
    groups : int
        Groups of background speech, at least, whose statistics are compared.
    quantiles : tuple of float
        Quantiles of the levels of a bin by which it is told from others.
    variance_floor : float
        Variances of the bins' statistics count as larger by this share of their mean.
    quietest : float
        Magnitudes below this share of their mean in background speech count as that, before their logarithm.
    agreed : float
        Correlation of what two keys of large blocks decrypt from which they count as one: 0.995 stands for 23 dB each.
    plain : float
        A key nearer to the unit matrix than this, relative to its norm, means that nothing was encrypted.
    hottest, coldest : float
        First and last temperature of an annealing, in units of the median change that a random exchange makes.
    directions : tuple of int
        Directions of a block with which successive stages of the search for an orthogonal key work.
    directions_share : float
        A stage is left out where its directions are at least this share of all.
    small : int
        Up to this number of directions, J tells a right key from one with single directions wrong, and several keys
        go on to the next stage; beyond it one does.
    kept : int
        Keys that go on.
    starts : int
        Random keys with which the first stage begins.
    first_noises : tuple of float
        Noise in the public statistics during the first descents, one after the other.
    later_noises : tuple of float
        The same at the beginning of each stage of more than `small` directions.
    flattest : float
        Least curvature of J, relative to the greatest, that a descent in such a stage counts with.
    short, long : int
        Steps at most of a descent behind a move, and of any other. The last descent takes twice as many as `long`.
    tolerance, last_tolerance : float
        Gain of J in a step below which a descent ends, and the same of the last descent.
    mending, mending_large, mending_last : tuple of int
        Rounds of moves that mend a key, and moves of each kind that are tried in a round: in stages of up to `small`
        directions, of more, and of all.
    gain : float
        Decrease of J that a round of moves must bring.
    same : float
        Distance of two keys, relative to their norm and up to the sign, below which they count as one.
    """

    largest: int = 256
    noise: float = 1e-3
    negligible: float = 1e-6
    sign_difference: float = 2e-3
    skewness_queries: int = 40
    fits: float = 0.2
    random_keys: int = 8
    loose: float = 1.0
    flip_starts: int = 64
    order_rounds: int = 500
    annealing_noises: tuple[float, ...] = (0.1, 0.1, 0.01)
    annealing_work: float = 6e9
    annealing_least_steps: int = 1000
    annealing_sampled: int = 200
    annealing_negligible: float = 1e-3
    exchanges: int = 500_000
    rough_temperatures: tuple[float, float] = (1.0, 0.01)
    likelihood_temperatures: tuple[float, float] = (0.1, 0.001)
    frame_starts: int = 3
    frame_noise: float = 0.01
    groups: int = 8
    quantiles: tuple[float, ...] = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)
    variance_floor: float = 0.1
    quietest: float = 1e-5
    agreed: float = 0.995
    plain: float = 0.5
    hottest: float = 0.5
    coldest: float = 1e-4
    directions: tuple[int, ...] = (6, 10, 16, 24, 40, 64, 100, 160)
    directions_share: float = 0.8
    small: int = 16
    kept: int = 4
    starts: int = 32
    first_noises: tuple[float, ...] = (1.0, 0.1, 0.01)
    later_noises: tuple[float, ...] = (0.1, 0.01)
    flattest: float = 1e-4
    short: int = 30
    long: int = 100
    tolerance: float = 1e-7
    last_tolerance: float = 1e-9
    mending: tuple[int, int] = (12, 4)
    mending_large: tuple[int, int] = (4, 1)
    mending_last: tuple[int, int] = (8, 1)
    gain: float = 1e-5
    same: float = 0.05
