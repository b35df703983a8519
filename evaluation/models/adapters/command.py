"""An external recogniser, run as a command on encrypted waveforms (paper, Table IV and Fig. 11).

There is no network to encrypt: the recogniser stays as it is and hears encrypted speech, so it takes part in sweeps
of the variant ``waveform`` only. ``command:my-asr --model large {wav}`` is run once per query with ``{wav}`` replaced
by a file of 32-bit float samples at 16 kHz (encryption may leave ±1, and nothing is clipped); what it prints is the
text. The command is split as a shell splits words, `~` is the home folder, and no shell runs it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor, nn

from wrongkey.encoded_audio import encoded_wav
from wrongkey.errors import BadInput
from wrongkey.evaluation.models.protocol import Hypothesis
from wrongkey.evaluation.private_folders import private_folder
from wrongkey.files import explained_errors, temporary_folder

WAV = "{wav}"
REMEDY = "make room there, or name another folder in TMPDIR"


@dataclass
class Command:
    """A recogniser outside: ``external`` says that it has no network and no first layer.

    Parameters
    ----------
    words: the command, with ``{wav}`` in one or more words.
    timeout: seconds that one query may take.
    """

    words: tuple[str, ...]
    timeout: float = 600.0
    sample_rate: int = 16_000
    name: str = "command"
    network: nn.Module = field(default_factory=nn.Module)
    first_layer: str = ""
    external: bool = True
    blocks: str = "samples"
    block_size: int | None = None

    def front_end(self, waveform: Tensor) -> Tensor:
        """The waveform ``(samples,)`` itself."""
        return waveform

    def segments(self, query: Tensor) -> Tensor:
        """The whole utterance: ``(1, samples)``."""
        return query[None]

    def transcribe(self, queries: Tensor) -> list[Hypothesis]:
        """Waveforms ``(batch, samples)`` to what the command prints for each, its lines joined by spaces.

        Raises BadInput where the command fails or takes too long, with the last line of its standard error, and where
        the temporary folder has no room for a waveform.
        """
        with ExitStack() as end:
            with explained_errors(temporary_folder(), REMEDY):
                folder = end.enter_context(private_folder())
            return [Hypothesis(self._heard(query, folder / f"{i}.wav")) for i, query in enumerate(queries)]

    def _heard(self, query: Tensor, path: Path) -> str:
        with explained_errors(path, REMEDY):
            path.write_bytes(encoded_wav(query.detach().float().cpu().numpy(), self.sample_rate))
        words = [word.replace(WAV, str(path)) for word in self.words]
        called = shlex.join(self.words)
        try:
            done = subprocess.run(
                words, stdin=subprocess.DEVNULL, capture_output=True, timeout=self.timeout, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise BadInput(f"Command {called!r} took longer than {self.timeout:g} s: {_last(error.stderr)}.") from error
        except OSError as error:
            raise BadInput(f"Command {called!r} cannot be run: {error.strerror or error}.") from error
        if done.returncode:
            raise BadInput(f"Command {called!r} failed with exit code {done.returncode}: {_last(done.stderr)}.")
        path.unlink(missing_ok=True)
        return " ".join(done.stdout.decode("utf-8", errors="replace").split())


def load_command(place: str) -> Command:
    """The recogniser that ``command:…`` names; BadInput for a command that lacks ``{wav}`` or is not installed."""
    try:
        words = tuple(os.path.expanduser(word) for word in shlex.split(place))
    except ValueError as error:
        raise BadInput(f"Command {place!r} cannot be split into words: {error}.") from error
    if not any(WAV in word for word in words):
        raise BadInput(f"Command {place!r} has no {WAV}, the file to recognise: give it as in command:my-asr {WAV}.")
    if shutil.which(words[0]) is None:
        raise BadInput(f"Command {words[0]!r} is not there: install it, or give its path.")
    return Command(words, name=f"command:{place}")


def _last(stderr: bytes | None) -> str:
    """The last line of what a command wrote to its standard error."""
    lines = (stderr or b"").decode("utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it wrote nothing to its standard error")
