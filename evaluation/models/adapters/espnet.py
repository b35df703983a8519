"""ESPnet2 recognisers under a key, the paper's kind: log-mel Transformers and Conformers that begin with a Conv2d.

The query is what ESPnet's encoder reads: its log-mel spectrogram after its normalisation, as ``(bins, frames)``. The
first convolution of the subsampling absorbs a key on tiles: kernel = stride = 3 as in the paper without more ado, and
ESPnet's usual kernel 3 with stride 2 by lifting, for tiles of an even size that divides the bins.

Checkpoints are built, and texts found, by ESPnet's own classes (``pip install espnet``), imported here when a model is
opened. Its language models take no part: a recogniser is under test.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wrongkey.errors import BadInput
from wrongkey.evaluation.models.adapters.pretrained import split_options, tensors_alone
from wrongkey.evaluation.models.adapters.torchvision_ops import declare_missing_operators
from wrongkey.evaluation.models.protocol import Hypothesis
from wrongkey.files import explained_errors

FIRST = "encoder.embed.conv.0"
SHORTEST = 32  # frames; ESPnet's subsamplings by up to 8 refuse fewer than 16
BEAM, CTC_WEIGHT = 5, 0.3


class BinsFirst(nn.Module):
    """A Conv2d made for ``(frames, bins)`` that computes on ``(bins, frames)``, as queries and their tiles lie.

    Takes and gives what ``layer`` does, ``(batch, 1, frames, bins)`` to ``(batch, out, frames, bins)``. The
    convolution inside, ``conv``, is the one that a key goes into.
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        conv = nn.Conv2d(
            layer.in_channels,
            layer.out_channels,
            kernel_size=_swapped(layer.kernel_size),
            stride=_swapped(layer.stride),
            padding=layer.padding if isinstance(layer.padding, str) else _swapped(layer.padding),
            dilation=_swapped(layer.dilation),
            bias=layer.bias is not None,
            padding_mode=layer.padding_mode,
        )
        state = layer.state_dict()
        conv.load_state_dict(state | {"weight": state["weight"].mT})
        self.conv = conv.to(layer.weight).train(layer.training).requires_grad_(layer.weight.requires_grad)

    def forward(self, x: Tensor) -> Tensor:
        """Turn frames ``(batch, frames, in)`` into ``(batch, frames, out)``."""
        z: Tensor = self.conv(x.mT)
        return z.mT


@dataclass
class Espnet:
    """A recogniser of ESPnet2 in eval mode.

    Parameters
    ----------
    network: its ``ESPnetASRModel``, the first convolution wrapped by ``BinsFirst``.
    speech2text: its ``Speech2Text``, whose beam search uses the decoder of ``network``.
    sample_rate: of its front end.
    """

    network: nn.Module
    speech2text: Any
    sample_rate: int = 16_000
    name: str = "espnet"
    first_layer: str = f"{FIRST}.conv"
    blocks: str = "tiles"
    block_size: int | None = None
    external: bool = False

    @torch.inference_mode()
    def front_end(self, waveform: Tensor) -> Tensor:
        """Waveform ``(samples,)`` to normalised log-mel spectrogram ``(bins, frames)``."""
        network: Any = self.network
        features, lengths = network.frontend(waveform[None], torch.tensor([len(waveform)]))
        if network.normalize is not None:
            features, lengths = network.normalize(features, lengths)
        return features[0].T

    def segments(self, query: Tensor) -> Tensor:
        """Return the whole utterance ``(1, bins, frames)``.

        One with fewer frames than the encoder reads is filled with zeros, the mean after normalisation.
        """
        return F.pad(query, (0, max(SHORTEST - query.shape[-1], 0)))[None]

    @torch.inference_mode()
    def encode(self, queries: Tensor) -> Tensor:
        """Spectrograms ``(batch, bins, frames)`` to the encoder's answer ``(batch, frames', dim)``."""
        network: Any = self.network
        lengths = torch.full((len(queries),), queries.shape[-1], device=queries.device)
        encoder: Any = network.encoder
        conditioned = getattr(encoder, "interctc_use_conditioning", False) or getattr(encoder, "ctc_trim", False)
        encoded, lengths, _ = encoder(queries.mT, lengths, **({"ctc": network.ctc} if conditioned else {}))
        encoded = encoded[0] if isinstance(encoded, tuple) else encoded
        if network.postencoder is not None:
            encoded, _ = network.postencoder(encoded, lengths)
        return encoded

    @torch.inference_mode()
    def transcribe(self, queries: Tensor) -> list[Hypothesis]:
        """Spectrograms ``(batch, bins, frames)`` to what ESPnet's beam search hears in each.

        It is bounded by one token per frame of the encoder; a text as long as that is a runaway.
        """
        return [self._searched(frames) for frames in self.encode(queries)]

    def _searched(self, frames: Tensor) -> Hypothesis:
        text, tokens, _, found = self.speech2text._decode_single_sample(frames)[0]
        return Hypothesis(" ".join(tokens) if text is None else text, runaway=len(found.yseq) - 2 >= len(frames))


def load_espnet(place: str) -> Espnet:
    """A recogniser from the folder of an ESPnet2 experiment or of an unpacked ``espnet_model_zoo`` archive.

    The folder holds ``config.yaml`` and one ``.pth`` file (several: name one by ``?file=valid.acc.ave.pth``), or a
    ``meta.yaml`` that names them. Paths inside ``config.yaml`` (statistics, BPE model) are as ESPnet reads them:
    absolute, or relative to the working directory. ``?beam=N`` sets the width of the beam search (default 5) and
    ``?ctc_weight=W`` the weight of CTC in it (default 0.3). Raises BadInput.
    """
    place, options = split_options(place, "espnet", ("file", "beam", "ctc_weight"))
    config, weights = model_files(Path(place), options.get("file"))
    beam = int(_number("beam", options.get("beam", BEAM), 1, 100))
    ctc_weight = _number("ctc_weight", options.get("ctc_weight", CTC_WEIGHT), 0, 1)
    inference = _espnets("espnet2.bin.asr_inference")
    try:
        with tensors_alone():
            speech2text: Any = inference.Speech2Text(
                asr_train_config=str(config), asr_model_file=str(weights), beam_size=beam, ctc_weight=ctc_weight
            )
    except Exception as error:  # configurations of other versions and recipes fail in any way
        raise BadInput(
            f"{config} cannot be opened as an ESPnet recogniser ({type(error).__name__}: {error})."
        ) from error
    return wrapped(speech2text, place)


def wrapped(speech2text: Any, place: str) -> Espnet:
    """The adapter of a ``Speech2Text``; BadInput for a recogniser whose first layer is none that reads its log-mels."""
    network: Any = speech2text.asr_model.eval().requires_grad_(False)
    if speech2text.beam_search is None:
        raise BadInput(f"{place} is a transducer or a Hugging Face decoder: only CTC and attention are possible.")
    for part, name in ((network.preencoder, "a pre-encoder"), (None if network.frontend else network, "no front end")):
        if part is not None:
            raise BadInput(f"{place} has {name}: only log-mel recognisers are possible.")
    try:
        layer = network.get_submodule(FIRST)
    except AttributeError as error:
        raise BadInput(f"{place} reads its spectrogram without a Conv2d ({FIRST}): use input_layer conv2d.") from error
    if not isinstance(layer, nn.Conv2d) or layer.in_channels != 1:
        raise BadInput(f"{place}: {FIRST} is {layer}, and only a Conv2d of one channel can take tiles.")
    network.set_submodule(FIRST, BinsFirst(layer))
    kernel, stride = layer.kernel_size, layer.stride
    return Espnet(
        network=network,
        speech2text=speech2text,
        sample_rate=_sample_rate(network.frontend),
        name=f"espnet:{place}",
        block_size=kernel[0] if kernel == stride and kernel[0] == kernel[1] else 2 * max(stride),
    )


def _espnets(name: str) -> Any:
    """A module of ESPnet, or one that comes with it; BadInput where it is not installed."""
    declare_missing_operators()
    try:
        return import_module(name)
    except ImportError as error:
        raise BadInput(f"Models espnet:… need ESPnet ({error}): run `pip install espnet`.") from error


def model_files(folder: Path, file: str | None) -> tuple[Path, Path]:
    """``config.yaml`` and weights of a folder; BadInput where they are missing or ambiguous."""
    if not folder.is_dir():
        raise BadInput(f"Model folder {folder} is not there: give the folder of an ESPnet2 experiment.")
    meta = folder / "meta.yaml"
    if meta.is_file() and not (folder / "config.yaml").is_file():
        yaml = _espnets("yaml")
        try:
            with explained_errors(meta, "check its permissions", action="read"):
                content = meta.read_text(encoding="utf-8")
            named = yaml.safe_load(content)
            config, weights = (
                folder / named[kind][name]
                for kind, name in (("yaml_files", "asr_train_config"), ("files", "asr_model_file"))
            )
        except (yaml.YAMLError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise BadInput(f"{meta} names no asr_train_config and asr_model_file: give an ASR model.") from error
    else:
        config = folder / "config.yaml"
        found = sorted(folder.glob("*.pth")) if file is None else [folder / os.path.expanduser(file)]
        if len(found) != 1:
            names = ", ".join(path.name for path in found) or "no .pth file"
            raise BadInput(f"{folder} holds {names}: name the weights, as in espnet:{folder}?file=valid.acc.ave.pth.")
        weights = found[0]
    for path in (config, weights):
        if not os.path.isfile(path):  # Path.is_file raises for a name that is too long
            raise BadInput(f"{path} is not there: give the folder of an ESPnet2 experiment.")
    return config, weights


def _number(name: str, asked: str | float, least: float, most: float) -> float:
    try:
        value = float(asked)
    except ValueError as error:
        raise BadInput(f"{name} must be a number, not {asked!r}.") from error
    if not least <= value <= most:
        raise BadInput(f"{name} must lie between {least:g} and {most:g}, not {asked}.")
    return value


def _sample_rate(frontend: Any) -> int:
    """Hertz of the front end's mel filters, 16,000 where it does not say."""
    options = getattr(getattr(frontend, "logmel", None), "mel_options", None)
    return int(options["sr"]) if isinstance(options, dict) and "sr" in options else 16_000


def _swapped(pair: tuple[int, ...]) -> tuple[int, int]:
    return pair[1], pair[0]
