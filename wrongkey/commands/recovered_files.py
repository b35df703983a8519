"""What ``wrongkey recover`` writes: decrypted speech and figures, readable by their owner alone."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from wrongkey.files import PRIVATE, atomic_write, explained_errors


def cut_to_length(file: Path, samples: Any) -> Any:
    """Samples without the padding that `wrongkey encrypt` adds and names in the file's comment."""
    from wrongkey.commands.crypt import LENGTH
    from wrongkey.evaluation.corpora.audio import comment

    said = LENGTH.search(comment(file))
    return samples[: int(said[1])] if said else samples


def compared(original: Any, plain: Any) -> float:
    """SNR in dB of what both hold."""
    import torch

    from wrongkey.evaluation.metrics.signal_to_noise import snr

    shared = min(len(original), len(plain))
    one, other = (torch.from_numpy(samples[:shared]).double() for samples in (original, plain))
    return snr(one, other, "samples")


def write_wavs(paths: Sequence[Path], recordings: Sequence[Any], rate: int) -> list[str]:
    """Write recordings, and return the names of their files."""
    for path, samples in zip(paths, recordings, strict=True):
        _write_wav(path, samples, rate)
    return [str(path) for path in paths]


def _write_wav(path: Path, samples: Any, rate: int) -> None:
    """Float samples, readable by their owner alone, as those of `wrongkey decrypt`."""
    from wrongkey.encoded_audio import encoded_wav

    content = encoded_wav(samples, rate)
    with _private(path) as file:
        file.write(content)


def draw_spectrograms(
    options: argparse.Namespace,
    encrypted: str,
    claimed: bool,
    recordings: Sequence[Any],
    plain: Sequence[Any],
    original: Any,
    rate: int,
) -> list[str]:
    """Spectrograms of every recording, encrypted under what `encrypted` names: names of the files."""
    from wrongkey.reports.figures.recovered import spectrograms_figure

    names = []
    for path, secret, speech in zip(figure_files(options), recordings, plain, strict=True):
        panels = [("original", original)] if original is not None else []
        panels += [(f"encrypted ({encrypted})", secret), (result_words(claimed), speech)]
        names.append(save_figure(path, spectrograms_figure(panels, rate)))
    return names


def figure_files(options: argparse.Namespace) -> list[Path]:
    """Where the spectrograms of every recording go."""
    stems = [file.stem for file in options.files]
    names = [stem if stems.count(stem) == 1 else f"{stem}-{number}" for number, stem in enumerate(stems)]
    return [options.figures / f"{name}-spectrograms.png" for name in names]


def make_folder(path: Path) -> None:
    """Make the folder of a file where it is missing."""
    with explained_errors(path.parent, "choose another folder"):
        path.parent.mkdir(parents=True, exist_ok=True)


def result_words(claimed: bool) -> str:
    """What the decrypted recording is, for figures."""
    return "recovered" if claimed else "best guess, success not claimed"


def save_figure(path: Path, figure: Any) -> str:
    """Write a figure, and return its name."""
    with _private(path) as drawn:
        figure.savefig(drawn, format="png", dpi=100, metadata={"Software": None})
    return str(path)


@contextmanager
def _private(path: Path) -> Iterator[BinaryIO]:
    """A new file that its owner alone may read, in a folder that is made where it is missing."""
    with explained_errors(path, "choose another folder, or make space"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path, mode=PRIVATE) as file:
            yield file
