"""``wrongkey encrypt``, ``decrypt`` and ``encrypt-model``: what the model owner and the authorised user do."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from keys.errors import BadInput

LENGTH = re.compile(r"wrongkey samples=(\d+)")  # in the comment of an encrypted WAV: what decryption cuts back to


def add(commands: Any) -> None:
    for name, run, text in (
        ("encrypt", run_encrypt, "encrypt a recording with a key"),
        ("decrypt", run_decrypt, "decrypt a recording, with the right key or a wrong one"),
    ):
        parser: argparse.ArgumentParser = commands.add_parser(name, help=text)
        parser.add_argument("file", type=Path, help="WAV, FLAC or Ogg file")
        parser.add_argument("--key", type=Path, required=True, help="key file of 'wrongkey keys draw'")
        parser.add_argument("-o", "--out", type=Path, required=True, help="WAV file (32-bit float)")
        parser.add_argument("--channels", default="refuse", choices=["refuse", "mix"], help="what to do with stereo")
        parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
        if name == "encrypt":
            parser.add_argument("--model", help="first apply this model's front end and cut its segments")
        parser.set_defaults(run=run)

    model = commands.add_parser("encrypt-model", help="encrypt a model's first layer with a key")
    model.add_argument("--model", required=True, help="as for 'wrongkey sweep'")
    model.add_argument("--key", type=Path, required=True, help="key file of 'wrongkey keys draw'")
    model.add_argument("-o", "--out", type=Path, required=True, help="safetensors file of the encrypted network")
    model.add_argument("--overwrite", action="store_true", help="replace an existing file")
    model.set_defaults(run=run_encrypt_model)


def run_encrypt(options: argparse.Namespace) -> int:
    from keys import SecretKey, encrypt_query

    key = SecretKey.load(options.key)
    samples, rate = _query(options) if options.model else _read(options)
    _write(options, encrypt_query(samples, key), rate, f"wrongkey samples={len(samples)}")
    return 0


def run_decrypt(options: argparse.Namespace) -> int:
    import soundfile

    from keys import SecretKey, decrypt_query

    key = SecretKey.load(options.key)
    samples, rate = _read(options)
    with soundfile.SoundFile(options.file) as file:
        said = LENGTH.search(file.comment or "")
    extent = min(int(said[1]), len(samples)) if said else None
    _write(options, decrypt_query(samples, key, extent=extent), rate, "")
    return 0


def run_encrypt_model(options: argparse.Namespace) -> int:
    import torch
    from safetensors.torch import save_file

    from evaluation.engine import encrypt_first_layer
    from evaluation.hardware import TOLERANCE
    from evaluation.models.protocol import open_model
    from keys import SecretKey, encrypt_query

    _refuse_existing(options, ".safetensors")
    key = SecretKey.load(options.key)
    model = open_model(options.model, folded=False)
    encrypted = encrypt_first_layer(model, key)

    noise = torch.randn(4 * model.sample_rate, generator=torch.Generator().manual_seed(0))
    queries = model.segments(model.front_end(noise))
    queries = queries[..., : queries.shape[-1] // key.block_size * key.block_size]
    with torch.inference_mode():
        plain, answer = model.embed(queries), encrypted.embed(encrypt_query(queries, key))
    difference = float((plain - answer).abs().max() / plain.abs().max())
    if not difference <= TOLERANCE["float32"]:
        raise BadInput(
            f"{model.name} under the correct key answers differently ({difference:.1e}): does {model.first_layer} "
            "really read the query first?"
        )
    tensors = {name: tensor.contiguous() for name, tensor in encrypted.network.state_dict().items()}
    about = {"model": model.name, "first_layer": model.first_layer, "scheme": key.scheme, "kernel": str(key.block_size)}
    _to_disk(options.out, lambda part: save_file(tensors, part, metadata=about))
    print(f"{options.out}: {model.name} with {model.first_layer} under a {key.scheme} key, M = {key.block_size}")
    print(f"four seconds of noise: its answers differ from the plain model's by {difference:.1e} (relative)")
    return 0


def _query(options: argparse.Namespace) -> tuple[Any, int]:
    """What ``--model`` wants encrypted: its front end's output, cut into its segments, one after another."""
    import torch

    from evaluation.corpora import load_audio
    from evaluation.models.protocol import open_model

    _refuse_existing(options)
    model = open_model(options.model)
    waveform = torch.from_numpy(load_audio(options.file, model.sample_rate, options.channels))
    return model.segments(model.front_end(waveform)).flatten().numpy(), model.sample_rate


def _read(options: argparse.Namespace) -> tuple[Any, int]:
    """Samples at the file's own rate: encryption does not resample."""
    from evaluation.corpora import load_audio, sample_rate

    _refuse_existing(options)
    rate = sample_rate(options.file)
    return load_audio(options.file, rate, options.channels), rate


def _write(options: argparse.Namespace, samples: Any, rate: int, comment: str) -> None:
    """Float samples: a key may push them beyond full scale, and clipping could not be undone."""
    import soundfile

    def write(part: Path) -> None:
        with soundfile.SoundFile(part, "w", rate, 1, "FLOAT", format="WAV") as file:
            if comment:
                file.comment = comment
            file.write(samples)

    _to_disk(options.out, write)
    print(f"{options.out}: {len(samples)} samples at {rate} Hz")


def _refuse_existing(options: argparse.Namespace, suffix: str = ".wav") -> None:
    if options.out.suffix.lower() != suffix:
        raise BadInput(f"{options.out} would hold {suffix[1:]} data: give it the ending {suffix}")
    if options.out.exists() and not options.overwrite:
        raise BadInput(f"{options.out} exists: choose another -o, or --overwrite it")


def _to_disk(path: Path, write: Any) -> None:
    """Write whole or not at all."""
    from safetensors import SafetensorError

    part = path.with_name(f".{path.name}.part")
    try:
        write(part)
        part.replace(path)
    except (OSError, RuntimeError, SafetensorError) as error:  # soundfile's is a RuntimeError
        raise BadInput(f"{path} cannot be written: check that its folder exists and has space") from error
    finally:
        part.unlink(missing_ok=True)
