"""Key files, and what an encrypted recording says of itself, as kinds for `benchmarks.fuzz`."""

from __future__ import annotations

from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path

import numpy as np
import soundfile
import torch

from benchmarks.fuzz_kind import Kind
from wrongkey.cli import parser
from wrongkey.commands.windows_comment import comment_of
from wrongkey.keys import SecretKey, SeedKey, encrypt_query, get_scheme, load_key
from wrongkey.keys.windows import Windows

RATE, SAMPLES = 16_000, 1_600  # few, so that the comment is often what is damaged
WINDOWS = Windows(kernel=10, stride=5)
DILATED = Windows(kernel=2, stride=1, dilation=100)


@cache
def drawn(scheme: str, block: int, dims: int = 1) -> SecretKey | SeedKey:
    """The key that a kind is made with; not at import, since threads of an earlier process would be waited for."""
    kind = SecretKey if get_scheme(scheme).derived is None else SeedKey
    return kind.from_seed(scheme, block, dims, seed=1)


def key(suffix: str, scheme: str, block: int, dims: int = 1) -> Kind:
    """The file of a key of a scheme."""

    def make(folder: Path) -> Path:
        drawn(scheme, block, dims).save(folder / f"key{suffix}")
        return folder / f"key{suffix}"

    def use(file: Path) -> None:
        if load_key(file) != drawn(scheme, block, dims):
            raise AssertionError("a damaged key file was read as another key")
        command("keys", "show", file)

    return Kind(make, use)


def command(*words: str | Path) -> None:
    """Run a command here, without what it prints."""
    options = parser().parse_args([str(word) for word in words])
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        options.run(options)


def decrypted(scheme: str, block: int) -> Kind:
    """A recording that `wrongkey encrypt` made, beside its key; its comment says what `wrongkey decrypt` needs."""

    def make(folder: Path) -> Path:
        drawn(scheme, block).save(folder / "key.npz")
        soundfile.write(folder / "plain.wav", noise(SAMPLES), RATE)
        nonce = ("--nonce", "0123456789abcdef" * 2) if "nonce" in scheme else ()
        command("encrypt", folder / "plain.wav", "--key", folder / "key.npz", "-o", folder / "sent.wav", *nonce)
        return folder / "sent.wav"

    return Kind(make, decrypt, decoded=8 * SAMPLES)


def windowed(windows: Windows) -> Kind:
    """A recording that was encrypted window by window, as `wrongkey encrypt --model` does, beside its key."""
    segment = SAMPLES // 2

    def make(folder: Path) -> Path:
        saved = SecretKey.from_seed("rom+windows", windows.kernel, seed=1)
        saved.save(folder / "key.npz")
        sent = windows.cut(torch.from_numpy(noise(SAMPLES)).reshape(-1, segment)).flatten()
        with soundfile.SoundFile(folder / "sent.wav", "w", RATE, 1, "FLOAT") as file:
            file.comment = comment_of(windows, 2, segment)
            file.write(encrypt_query(sent, saved).numpy())
        return folder / "sent.wav"

    return Kind(make, decrypt, decoded=8 * 2 * windows.count(segment) * windows.kernel)


def noise(samples: int) -> np.ndarray:
    """Noise as a stand-in for speech, `(samples,)`."""
    return 0.1 * np.random.default_rng(0).standard_normal(samples).astype(np.float32)


def decrypt(file: Path) -> None:
    """Decrypt a recording with the key beside it; what is written must be as long as it can be."""
    plain = file.with_name("again.wav")
    command("decrypt", file, "--key", file.with_name("key.npz"), "-o", plain, "--overwrite")
    if not np.isfinite(soundfile.read(plain)[0]).all():
        raise AssertionError("the decrypted speech is not finite")


KINDS: dict[str, Kind] = {
    "key npz": key(".npz", "rom", 5),
    "key safetensors": key(".safetensors", "rom", 5),
    "key shuffling": key(".npz", "shuffling", 32),
    "key flipping": key(".safetensors", "flipping", 32),
    "key invertible": key(".npz", "invertible", 8),
    "key turns": key(".npz", "rom+turns=4", 4),
    "key tiles": key(".safetensors", "signed-shuffling+turns=2+along=bins", 4, dims=2),
    "key large": key(".npz", "rom", 16, dims=2),
    "key nonce": key(".npz", "rom+nonce", 8),
    "key schedule": key(".safetensors", "flipping+schedule=0.5", 8),
    "comment nonce": decrypted("rom+nonce", 8),
    "comment schedule": decrypted("rom+schedule=0.01+nonce", 8),
    "comment samples": decrypted("rom", 8),
    "comment windows": windowed(WINDOWS),
    "comment dilated windows": windowed(DILATED),
}
