"""``wrongkey encrypt``, ``decrypt`` and ``encrypt-model``: what the model owner and the authorised user do."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from wrongkey.commands import seeds
from wrongkey.errors import BadInput
from wrongkey.files import PRIVATE, atomic_write, explained_errors, user_path
from wrongkey.printable import printable
from wrongkey.terminal import conclude

if TYPE_CHECKING:
    from wrongkey.keys import SecretKey, SeedKey
    from wrongkey.keys.key_cut import KeyCut

LENGTH = re.compile(r"wrongkey samples=(\d{1,18})")  # comment of an encrypted WAV: its length before encryption
NOISE_SECONDS = 4
LOADING = """\
To load the file again, with the names and numbers of its metadata:

  from wrongkey.keys import KeyCut, lift_model
  from safetensors.torch import load_file
  cut = KeyCut(blocks, int(block_size), int(span), along)
  network = lift_model(model.network, first_layer, cut.block_size, cut)
  network.load_state_dict(load_file("FILE.safetensors"))

model.network is the plain architecture with any weights, as open_model(MODEL, folded=False) makes it; where the
metadata names windows, that of wrongkey.evaluation.windows.windowed(open_model(MODEL, folded=False)). Under a
schedule, whose metadata names starts and longest besides, the network is

  from wrongkey.keys import Slots, encrypt_scheduled_model
  slots = Slots(tuple(map(int, starts.split(","))), int(longest))
  network = encrypt_scheduled_model(model.network, first_layer, cut, slots)
"""


def add(commands: Any) -> None:
    """Add the command to the parsers of the command line."""
    for name, run, text in (
        ("encrypt", run_encrypt, "encrypt a recording with a key"),
        ("decrypt", run_decrypt, "decrypt a recording, with the right key or a wrong one"),
    ):
        parser: argparse.ArgumentParser = commands.add_parser(name, help=text)
        parser.add_argument("file", type=user_path, help="audio file")
        parser.add_argument("--key", type=user_path, required=True, help="key file of 'wrongkey keys draw'")
        parser.add_argument("-o", "--out", type=user_path, required=True, help="WAV file (32-bit float)")
        parser.add_argument("--channels", default="refuse", choices=["refuse", "mix"], help="what to do with stereo")
        parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
        parser.add_argument(
            "--nonce",
            metavar="HEX",
            help="public nonce of the recording, for keys of +nonce (default: "
            + ("a new one)" if name == "encrypt" else "the one that the file names)"),
        )
        if name == "encrypt":
            parser.add_argument("--model", help="first apply this model's front end and cut its segments")
        parser.set_defaults(run=run)

    model = commands.add_parser(
        "encrypt-model",
        help="encrypt a model's first layer with a key",
        description="Encrypt a model's first layer with a key, lifting it to whole blocks where its kernel is not one. "
        "The correct key is checked on four seconds of noise before anything is written.",
        epilog=LOADING,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    model.add_argument("--model", required=True, help="as for 'wrongkey sweep'")
    model.add_argument("--key", type=user_path, required=True, help="key file of 'wrongkey keys draw'")
    model.add_argument(
        "--blocks", choices=["samples", "tiles", "frames"], help="how the key cuts queries (default: the model's)"
    )
    model.add_argument("--nonce", metavar="HEX", help="nonce of the request to encrypt for, for keys of +nonce")
    model.add_argument(
        "--seconds", type=float, default=30.0, help="longest query, for keys of +schedule=SECONDS (default 30)"
    )
    model.add_argument("-o", "--out", type=user_path, required=True, help="safetensors file of the encrypted network")
    model.add_argument("--overwrite", action="store_true", help="replace an existing file")
    model.set_defaults(run=run_encrypt_model)


def run_encrypt(options: argparse.Namespace) -> int:
    """Encrypt a recording, or the query that a model makes of it, prepared as the key's scheme says."""
    import torch

    from wrongkey.evaluation.preparation import Preparation
    from wrongkey.evaluation.windows import sends_windows
    from wrongkey.keys import SeedKey, encrypt_query, load_key

    key = load_key(options.key)
    nonce = seeds.nonce_of(options.nonce, key, new=True)
    if isinstance(key, SeedKey) and sends_windows(key.scheme):
        raise BadInput(f"A file of windows is under one matrix, and {key.scheme} has many: use the scheme without one.")
    if options.model:
        samples, rate, segment, comment = _query(options, key)
    elif sends_windows(key.scheme):
        raise BadInput(f"A key of {key.scheme} encrypts the windows that a model's first layer reads: add --model.")
    else:
        samples, rate, segment = _read(options)
        samples = Preparation.of(key.scheme).whole(torch.from_numpy(samples), rate, _secret_number(), "").numpy()
        comment = f"wrongkey samples={len(samples)}"
    if isinstance(key, SeedKey):
        sent = seeds.Sent(key, nonce, rate, segment)
        _write(options, sent.encrypted(samples), rate, comment=comment + sent.comment)
    else:
        _write(options, encrypt_query(samples, key), rate, comment=comment)
    if nonce:
        conclude(f"nonce {nonce} (public): encrypt the model for it")
    return 0


def run_decrypt(options: argparse.Namespace) -> int:
    """Decrypt a recording and cut it to its length before encryption."""
    from wrongkey.commands.windows_comment import COMMENT, speech_of
    from wrongkey.evaluation.corpora.audio import comment
    from wrongkey.evaluation.windows import sends_windows
    from wrongkey.keys import SeedKey, decrypt_query, load_key

    key = load_key(options.key)
    samples, rate, _ = _read(options)
    about = comment(options.file)
    said = LENGTH.search(about)
    extent = min(int(said[1]), len(samples)) if said else None
    if isinstance(key, SeedKey):
        sent = seeds.Sent.read(about, options.nonce, key, rate, len(samples), options.file)
        _write(options, sent.decrypted(samples)[:extent], rate, mode=PRIVATE)
        return 0
    seeds.nonce_of(options.nonce, key)
    if windows := COMMENT.search(about):
        speech = speech_of(options.file, windows, decrypt_query(samples, key))
    elif sends_windows(key.scheme):
        raise BadInput(
            f"{printable(options.file)} does not say where its windows lie: make it with 'wrongkey encrypt --model'."
        )
    else:
        speech = decrypt_query(samples, key, extent=extent)
    _write(options, speech, rate, mode=PRIVATE)
    return 0


def run_encrypt_model(options: argparse.Namespace) -> int:
    """Encrypt a model, check it, and print what it costs."""
    from wrongkey.evaluation.models.asking import model_at_fault

    with model_at_fault(options.model):
        return _encrypt_model(options)


def _encrypt_model(options: argparse.Namespace) -> int:
    """Encrypt, compare the answers to noise under the correct key, write, and print the cost."""
    import torch

    from wrongkey.evaluation.exactness import fitted_queries
    from wrongkey.evaluation.experiment import key_cut_of
    from wrongkey.evaluation.first_layer import encrypt_first_layer
    from wrongkey.evaluation.hardware import TOLERANCE
    from wrongkey.evaluation.models.registry import open_model
    from wrongkey.evaluation.windows import as_sent, described, windows_of
    from wrongkey.keys import SeedKey, encrypt_query, load_key

    _refuse_existing(options, ".safetensors")
    key = load_key(options.key)
    nonce = seeds.nonce_of(options.nonce, key)
    model = open_model(options.model, folded=False)
    sent = as_sent(model, key.scheme, options.blocks)
    cut = key.cut(key_cut_of(sent, options.blocks, key.block_size).blocks)
    noise = torch.randn(NOISE_SECONDS * model.sample_rate, generator=torch.Generator().manual_seed(0))
    queries = fitted_queries(sent, noise, cut)
    request = None
    if isinstance(key, SeedKey):
        request = seeds.Request.of(sent, key, cut, nonce, options.seconds)
        encrypted, encrypted_queries = request.model, request.encrypted(queries)
    else:
        encrypted = encrypt_first_layer(sent, key, cut)
        encrypted_queries = encrypt_query(queries, key, blocks=cut)
    plain, plain_time = _answers(sent, queries)
    answer, encrypted_time = _answers(encrypted, encrypted_queries)
    difference = _difference(plain, answer)
    windows = windows_of(sent)
    if windows:
        queries = model.segments(model.front_end(noise))
        (spoken, plain_time), (read, _) = _answers(model, queries), _answers(sent, windows.cut(queries))
        difference += _difference(spoken, read)  # at most that of the encrypted model and the plain one
    if not difference <= TOLERANCE["float32"]:
        raise BadInput(
            f"{model.name} under the correct key answers differently ({difference:.1e}, allowed "
            f"{TOLERANCE['float32']:.0e}): {model.first_layer} does not read the query first, its answers do not go "
            "through its network, or float32 rounds this key too coarsely."
        )
    more = {"windows": str(windows)} if windows else {}
    _write_network(options.out, model, encrypted, key, cut, {**more, **(request.about if request else {})})
    what = f"{model.name} with {model.first_layer} under a {key.scheme} key, M = {cut.block_size}, {cut.blocks}"
    conclude(f"{options.out}: {what}")
    if windows:
        conclude(described(model, windows))
    conclude(f"four seconds of noise: its answers differ from the plain model's by {difference:.1e} (relative)")
    if request:
        conclude(request.cost)
    seconds = NOISE_SECONDS * queries.numel() / model.front_end(noise).numel()
    for line in _cost(model, encrypted, queries, encrypted_queries, key.size, seconds):
        conclude(line)
    conclude(f"time of those four seconds: plain {plain_time:.3f} s, encrypted {encrypted_time:.3f} s")
    return 0


def _write_network(
    path: Path, model: Any, encrypted: Any, key: SecretKey | SeedKey, cut: KeyCut, more: Mapping[str, str]
) -> None:
    """Write the weights of the encrypted network, with what is needed to load them again and what it is to be sent."""
    from safetensors.torch import save

    tensors = {name: tensor.clone().contiguous() for name, tensor in encrypted.network.state_dict().items()}
    about = {
        "model": model.name,
        "first_layer": model.first_layer,
        "layer": type(encrypted.network.get_submodule(model.first_layer)).__name__,
        "scheme": key.scheme,
        "blocks": cut.blocks,
        "block_size": str(cut.block_size),
        "kernel": str(cut.steps),
        "span": str(cut.span),
        "along": cut.along,
        **more,
    }
    with _to_disk(path) as file:
        file.write(save(tensors, about))


def _answers(model: Any, queries: Any) -> tuple[Any, float]:
    """Answers of a model of any task, as numbers where it offers them, and the seconds of the faster of two passes."""
    from time import perf_counter

    import torch

    from wrongkey.evaluation.config import ASKED

    function = next(getattr(model, name) for name in ("encode", *ASKED.values()) if hasattr(model, name))
    times = []
    with torch.inference_mode():
        for _ in range(2):
            begin = perf_counter()
            answers = function(queries)
            times.append(perf_counter() - begin)
    return answers, min(times)


def _difference(plain: Any, answers: Any) -> float:
    """Largest difference relative to the largest plain answer; infinite for texts that differ."""
    if isinstance(plain, list):
        return 0.0 if plain == answers else float("inf")
    if plain.shape != answers.shape:
        return float("inf")
    return float((plain - answers).abs().max()) / float(plain.abs().max())


def _cost(model: Any, encrypted: Any, queries: Any, encrypted_queries: Any, size: int, seconds: float) -> list[str]:
    """Sentences on what lifting costs, in multiplications of the first layer, and on what it reveals of the key.

    The queries last `seconds`; the key is a matrix of `size` rows.
    """
    from torch import nn

    from wrongkey.keys import ScheduledLayer
    from wrongkey.keys.lift import hidden_elements, multiplications

    layer, lifted = (one.network.get_submodule(model.first_layer) for one in (model, encrypted))
    lifted = lifted.slots[0] if isinstance(lifted, ScheduledLayer) else lifted  # each answers to a part of the query
    reads_frames = queries.ndim == 3 and not isinstance(layer, nn.Conv2d)  # a position of its input is a whole frame

    def per_second(of: nn.Module, asked: Any) -> float:
        positions = asked.numel() // (asked.shape[1] if reads_frames else 1)
        return multiplications(of) * float(positions) / seconds

    plain, under_key = per_second(layer, queries), per_second(lifted, encrypted_queries)
    lines = [
        f"multiplications of {model.first_layer} per second of speech: plain {plain:,.0f}, "
        f"encrypted {under_key:,.0f} ({under_key / plain:.2f} times)"
    ]
    hidden = hidden_elements(lifted, size)
    if hidden < size:
        lines.append(
            f"caution: {model.first_layer} steps by less than a block, so that whoever holds this file can compute the "
            f"key up to an orthogonal matrix of {hidden} x {hidden} (N = {size}); see keys/lift.py"
        )
    return lines


def _query(options: argparse.Namespace, key: SecretKey | SeedKey) -> tuple[Any, int, int, str]:
    """The query of ``--model``: the output of its front end, cut into segments, one after another.

    With its rate, the length of a segment, and the comment that says what it is.
    """
    import torch

    from wrongkey.commands.windows_comment import comment_of
    from wrongkey.evaluation.corpora import load_audio
    from wrongkey.evaluation.models.asking import model_at_fault
    from wrongkey.evaluation.models.registry import open_model
    from wrongkey.evaluation.preparation import Preparation
    from wrongkey.evaluation.windows import as_sent, windows_of

    _refuse_existing(options)
    plain = open_model(options.model)
    model, prepared = as_sent(plain, key.scheme), Preparation.of(key.scheme)
    waveform = torch.from_numpy(load_audio(options.file, model.sample_rate, options.channels))
    with model_at_fault(model.name):
        query = model.front_end(prepared.recording(waveform, model.sample_rate))
    if query.ndim != 1:
        raise BadInput(
            f"{model.name} reads spectrograms, which no WAV file holds: encrypt them with wrongkey.keys.encrypt_query."
        )
    with model_at_fault(model.name):
        segments = prepared.noisy(model.segments(query), _secret_number(), "")
        spoken = plain.segments(query).shape
    windows = windows_of(model)
    if windows and windows.kernel != key.block_size:
        raise BadInput(
            f"{model.name} is sent {windows}, and the key is for blocks of {key.block_size}: draw one of M = "
            f"{windows.kernel}."
        )
    comment = comment_of(windows, *spoken) if windows else f"wrongkey samples={segments.numel()}"
    return segments.flatten().numpy(), model.sample_rate, segments.shape[-1], comment


def _read(options: argparse.Namespace) -> tuple[Any, int, int]:
    """Samples at the file's own rate, all one query: encryption does not resample."""
    from wrongkey.evaluation.corpora import load_audio, sample_rate

    _refuse_existing(options)
    rate = sample_rate(options.file)
    samples = load_audio(options.file, rate, options.channels)
    return samples, rate, len(samples)


def _write(options: argparse.Namespace, samples: Any, rate: int, *, comment: str = "", mode: int | None = None) -> None:
    from wrongkey.encoded_audio import encoded_wav

    content = encoded_wav(samples, rate, comment=comment)
    with _to_disk(options.out, mode) as file:
        file.write(content)
    conclude(f"{options.out}: {len(samples)} samples at {rate} Hz")


def _secret_number() -> int:
    """What noise is drawn with: whoever knows it can subtract the noise."""
    return int.from_bytes(os.urandom(16), "little")


def _refuse_existing(options: argparse.Namespace, suffix: str = ".wav") -> None:
    if options.out.suffix.lower() != suffix:
        raise BadInput(f"{options.out} would hold {suffix[1:]} data: give it the ending {suffix}.")
    if os.path.lexists(options.out) and not options.overwrite:  # a link that leads nowhere exists too
        raise BadInput(f"{options.out} exists: choose another -o, or add --overwrite.")


@contextmanager
def _to_disk(path: Path, mode: int | None = None) -> Iterator[BinaryIO]:
    """Open a file that is written whole or not at all."""
    from safetensors import SafetensorError

    with (
        explained_errors(path, "check that its folder exists and has space", also=(SafetensorError,)),
        atomic_write(path, mode=mode) as file,
    ):
        yield file
