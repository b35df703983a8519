"""Settings of the attack `polyphase`."""

from __future__ import annotations

from dataclasses import dataclass

from wrongkey.attacks.waveforms.block_structure import StructureSettings


@dataclass(frozen=True)
class PolyphaseSettings(StructureSettings):
    """How block spectra are estimated and diagonalised, how their tones are ordered, and when a key is trusted.

    The fields of `StructureSettings` and these:

    Attributes
    ----------
    largest : int
        The largest block size in samples; of larger blocks a victim does not speak long enough.
    smallest_of_many : int
        The smallest block size at which the ciphertext of many is attacked; of smaller blocks that of a single speaker
        gives the key away.
    estimates : int
        Estimates of the key, each from segments of another length.
    small : int
        Blocks of fewer samples than this count as small: two estimates of small keys may agree by chance.
    estimates_of_small : int
        As `estimates`, for small blocks.
    estimates_of_empty : int
        The most estimates where bands are empty. Paths are often lost there, and it is enough that the best one agrees
        with another. In a telephone band (16 kHz, M = 10, 10 s) two of four estimates agreed for 9 of 12 adults of the
        train part, and two of eight for 11; no wrong ones did.
    linked : float
        Success is claimed only if the path of tones went through at least this share of the bands that hold sound.
    surplus : float
        For keys in turn it is enough that, beyond the bands that determine the map, the path met this share.
    empty : float
        Bands of less power than this, relative to the mean, hold no sound: about 30 dB, as much as a joint descent may
        leave of strong bands in weak ones.
    least_filled : float
        Of bands at least this share counts as holding sound.
    large : int
        From this block size on the joint descent of one key is that of Newton, as it is for keys in turn and where
        bands are empty.
    joint_steps : int
        The most steps of it.
    joint_inner : int
        The most steps of the conjugate gradients that solve for one of them.
    joint_residual : float
        They end earlier where the residual is this share of the first.
    agreed : float
        Success is claimed only if what all estimates decrypt correlates by at least this; or two, where bands are
        empty and blocks are not small.
    segment : float
        Length in seconds of the segment of speech that a block spectrum sees.
    least_blocks : int
        The least number of blocks in a segment: with fewer, bands k and -k, which differ only in the sign of w, could
        not be distinguished.
    lengths : tuple of float
        Length of the segments of one estimate after the other, as a multiple of `segment`.
    overlap : int
        Segments that share a block.
    most_segments : int
        The most segments that are used; longer ciphertext has larger hops.
    gate : float
        Segments that are this many decibels quieter than the loud ones (98th percentile) count as pauses.
    frequencies : int
        Block frequencies between 0 and pi.
    margin : float
        Distance of these frequencies from 0 and pi, where bands k and -k leak, in resolutions (2 pi over the blocks of
        a segment).
    floors : tuple of float
        Floors of the criterion, relative to the mean power, through which the diagonalisation descends: with a large
        floor it finds strong bands more reliably, with a small one it finds weak bands.
    steps : int
        Steps of the diagonalisation at each floor.
    least_gain : float
        A descent of the criterion ends where a step gains less than this.
    least_step : float
        A descent that finds nothing lower ends where its step, relative to the quasi-Newton one, is shorter than this.
    reach : int
        Segments to either side in the moving mean of the power.
    least_curvature : float
        The least curvature of a pair of components; with a smaller one noise would turn the pair far.
    largest_angle : float
        The most radians by which a pair turns in one step.
    largest_step : float
        The longest joint step; the directions are damped, so it may be longer than 1.
    starts : int
        Columns from which a path of tones is tried.
    pitch : tuple of float
        Seconds after which voices repeat, from the shortest to the longest.
    heard : int
        Segments that are searched for voices.
    voiced : float
        Paths whose voicing is at least this share of the best one's are compared by their length.
    envelope : float
        Hertz to either side over which the envelope of a spectrum is averaged where its harmonics are looked for.
    harmonics : float
        Success with a key for an even number of samples is claimed only if the harmonics of what it decrypts tell it
        from the key of the mirrored spectrum by this many standard errors. Segments overlap fourfold, so that half
        as many are meant. Two seconds of 14 adults had 11 and more, pre-emphasised 7, whitened 8, and both 0 to 9.
    damping : float
        Damping of the least-squares extrapolation along a path.
    taken : float
        A column is taken into the path if its overlap with the extrapolated one exceeds this.
    lost : float
        A path is lost where the mean overlap over two bands falls below this.
    let_in : int
        Bands by which the joint descent of one key proceeds.
    let_in_steps : int
        Steps of the joint descent after each of these.
    disturbance : float
        Size of the random disturbance of the starting bases of all estimates but the first.
    """

    largest: int = 128
    smallest_of_many: int = 32
    estimates: int = 2
    small: int = 5
    estimates_of_small: int = 4
    estimates_of_empty: int = 8
    linked: float = 0.8
    surplus: float = 0.2
    empty: float = 1e-3
    least_filled: float = 0.5
    large: int = 33
    joint_steps: int = 30
    joint_inner: int = 60
    joint_residual: float = 1e-3
    agreed: float = 0.998
    segment: float = 0.032
    least_blocks: int = 12
    lengths: tuple[float, ...] = (1.0, 1.5, 2.0, 0.8)
    overlap: int = 4
    most_segments: int = 12_000
    gate: float = 30.0
    frequencies: int = 8
    margin: float = 2.0
    floors: tuple[float, ...] = (0.1, 0.02, 0.004)
    steps: int = 20
    least_gain: float = 1e-5
    least_step: float = 1e-2
    reach: int = 2
    least_curvature: float = 0.1
    largest_angle: float = 0.5
    largest_step: float = 3.0
    starts: int = 12
    pitch: tuple[float, float] = (0.0025, 0.0125)
    heard: int = 256
    voiced: float = 0.2
    envelope: float = 200.0
    harmonics: float = 5.0
    damping: float = 0.1
    taken: float = 0.5
    lost: float = 0.7
    let_in: int = 2
    let_in_steps: int = 3
    disturbance: float = 0.3


DEFAULTS = PolyphaseSettings()
