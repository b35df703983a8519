"""A user's image model of timm that classifies spectrograms: `timm:model.toml`.

The TOML file says what the checkpoint was trained with:

    architecture = "convmixer_768_32"     # a name of timm, as in timm.create_model
    weights = "sins.safetensors"          # or a torch checkpoint, see `checkpoints`; relative to this file
    classes = ["absence", "cooking"]      # in the order of the logits

    [arguments]                           # for the architecture; one channel is understood
    patch_size = 8

    [front_end]
    sample_rate = 16000                   # hertz
    n_fft = 512                           # samples of a window and its FFT
    hop = 160                             # samples
    bins = 80
    clip_seconds = 4.0                    # a longer recording is cut into clips, whose logits are averaged
    scale = "mel"                         # or "linear": the first frequencies of the FFT; "mel" if left out
    floor = 1e-10                         # least power before the logarithm; 1e-10 if left out
    mean = -9.5                           # the spectrogram less mean, over std; left out, each clip is
    std = 4.2                             # standardised by itself

A ViT has its size among the arguments, for its places are learnt: `architecture = "vit_tiny_patch16_224"` and
`img_size = [80, 400]`. The first layer is `stem.0` of a ConvMixer, `patch_embed.proj` of a ViT, and what timm calls
`first_conv` elsewhere. Bins and frames behind its last whole patch are cut off, since it would not read them.
timm is imported only here; nothing is downloaded.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from wrongkey.errors import KINDS, BadInput
from wrongkey.evaluation.models.adapters.torchvision_ops import declare_missing_operators
from wrongkey.evaluation.models.checkpoints import read_state_dict, strip_prefixes
from wrongkey.evaluation.models.front_ends import LogLinear, LogMel, joined, split, standardised, whole_clips

# timm's functions of these names refuse another patch_size, so their class is called with the same sizes
CONVMIXERS: Mapping[str, Mapping[str, Any]] = {
    "convmixer_768_32": {"dim": 768, "depth": 32, "kernel_size": 7, "patch_size": 7, "act_layer": nn.ReLU},
    "convmixer_1024_20_ks9_p14": {"dim": 1024, "depth": 20, "kernel_size": 9, "patch_size": 14},
    "convmixer_1536_20": {"dim": 1536, "depth": 20, "kernel_size": 9, "patch_size": 7},
}
SCALES: Mapping[str, type[LogMel] | type[LogLinear]] = {"mel": LogMel, "linear": LogLinear}
# name -> type and default; ... where one must be given
TOP: Mapping[str, tuple[type, Any]] = {
    "architecture": (str, ...),
    "weights": (str, ...),
    "classes": (list, ...),
    "arguments": (dict, {}),
    "front_end": (dict, ...),
}
FRONT_END: Mapping[str, tuple[type, Any]] = {
    "sample_rate": (int, ...),
    "n_fft": (int, ...),
    "hop": (int, ...),
    "bins": (int, ...),
    "clip_seconds": (float, ...),
    "scale": (str, "mel"),
    "floor": (float, 1e-10),
    "mean": (float, None),
    "std": (float, None),
}
MOST_RATE = 1_000_000  # hertz
MOST_CLIP = 2**22  # bins times frames of a clip: seven minutes of 80 bins at 100 frames per second
SPARE = 2**16  # weights that a network may have beyond those of its file while it is made
SET_HERE = ("num_classes", "pretrained", "checkpoint_path", "pretrained_cfg", "pretrained_cfg_overlay")


@dataclass(frozen=True)
class ClipFrontEnd:
    """Waveform `(samples,)` to the spectrograms of its clips, side by side `(bins, clips · frames)`.

    clip_frames: frames of a clip as it is standardised; bins, frames: what of a clip the network reads; scaling:
    mean and deviation of spectrograms, None where each clip has its own.
    """

    spectrogram: LogMel | LogLinear
    clip_frames: int
    bins: int
    frames: int
    scaling: tuple[float, float] | None

    def __call__(self, waveform: Tensor) -> Tensor:
        """Turn a waveform ``(samples,)`` into the spectrograms of its clips; raises BadInput for an empty one."""
        if not len(waveform):
            raise BadInput("A recording without samples has no class; leave it out of the corpus.")
        clips = whole_clips(self.spectrogram(waveform), self.clip_frames)
        clips = (clips - self.scaling[0]) / self.scaling[1] if self.scaling else standardised(clips)
        return joined(clips[:, : self.bins, : self.frames])


@dataclass
class TimmScenes:
    """An image model in eval mode that classifies clips; a key goes into `first_layer`."""

    network: nn.Module
    classes: tuple[str, ...]
    clip: ClipFrontEnd
    first_layer: str
    name: str
    sample_rate: int
    blocks: str = "tiles"
    block_size: int | None = None  # the first layer's kernel
    external: bool = False

    def front_end(self, waveform: Tensor) -> Tensor:
        """What the user computes before encryption: `(samples,)` to `(bins, clips · frames)`."""
        return self.clip(waveform)

    def segments(self, query: Tensor) -> Tensor:
        """The clips `(clips, bins, frames)`."""
        return split(query, self.clip.frames)

    def classify(self, queries: Tensor) -> Tensor:
        """Logits `(batch, classes)` of clips `(batch, bins, frames)`."""
        return self.network(queries.unsqueeze(1))


class LearntPlaces(nn.Module):
    """timm's PatchEmbed without the patches behind its grid: zeros that fill an encrypted query to whole blocks."""

    def __init__(self, embedding: Any) -> None:
        super().__init__()
        self.proj, self.norm = embedding.proj, embedding.norm
        self.rows, self.columns = embedding.grid_size

    def forward(self, spectrograms: Tensor) -> Tensor:
        """`(batch, 1, bins, frames)` to patches `(batch, rows · columns, dim)`."""
        patches = self.proj(spectrograms)[:, :, : self.rows, : self.columns]
        return self.norm(patches.flatten(2).transpose(1, 2))


def load_timm(place: str) -> TimmScenes:
    """The model that a TOML file describes; raises BadInput for what does not fit."""
    path = Path(place)
    top = _settings(_read(path), TOP, path, "")
    front_end = _settings(top["front_end"], FRONT_END, path, "front_end.")
    classes = _classes(top["classes"], path)
    spectrogram, clip_frames = _spectrogram(front_end, path)
    weights = path.parent / os.path.expanduser(top["weights"])
    stored = _stored(weights, path)
    _check_numbers(top["arguments"], stored, max(front_end["bins"], clip_frames), path)
    with _no_more_weights_than(2 * _elements(stored) + SPARE, path):
        network, first_layer, head = _network(top["architecture"], top["arguments"], len(classes), path)
    _fill(network, strip_prefixes(stored, network.state_dict(), weights), weights, head, len(classes), path)
    clip = _clip_front_end(front_end, spectrogram, clip_frames, _first(network, first_layer, path), path)
    _keep_learnt_places(network, clip, path)
    network.eval().requires_grad_(False)
    return TimmScenes(network, classes, clip, first_layer, f"timm:{path.stem}", front_end["sample_rate"])


# the TOML file


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))  # a byte order mark is an editor's
    except OSError as error:
        raise BadInput(f"Model timm:{path} cannot be read ({error.strerror}): give a TOML file.") from error
    except (ValueError, RecursionError) as error:  # of TOML, a huge number, UTF-8, or lists within lists
        why = "it is nested too deep" if isinstance(error, RecursionError) else error
        raise BadInput(f"Model timm:{path} is not TOML: {why}.") from error


def _settings(table: dict[str, Any], known: Mapping[str, tuple[type, Any]], path: Path, where: str) -> dict[str, Any]:
    if strange := [name for name in table if name not in known]:
        raise BadInput(f"{path} sets {where}{strange[0]}, which is unknown: known are {', '.join(known)}.")
    settings = {}
    for name, (wanted, default) in known.items():
        value = table.get(name, default)
        if value is ...:
            raise BadInput(f"{path} does not set {where}{name}: add it.")
        if wanted is float and type(value) is int:
            value = float(value)
        if name in table and type(value) is not wanted:
            raise BadInput(f"{path} sets {where}{name} = {value!r}, which is not {KINDS[wanted]}.")
        settings[name] = value
    return settings


def _classes(names: list[Any], path: Path) -> tuple[str, ...]:
    if len(names) < 2 or not all(isinstance(name, str) and name for name in names) or len(set(names)) < len(names):
        raise BadInput(
            f"{path} sets classes = {names!r}: give two different names or more, in the order of the logits."
        )
    return tuple(names)


# the network


def _network(architecture: str, arguments: dict[str, Any], classes: int, path: Path) -> tuple[nn.Module, str, str]:
    """A network with random weights, and the names of its first layer and of its last."""
    timm = _import_timm()
    if arguments.get("in_chans", 1) != 1:
        raise BadInput(
            f"{path} sets arguments.in_chans = {arguments['in_chans']!r}, but a spectrogram has one channel: "
            "sum the weights of a first layer that was given it several times over its channels."
        )
    if taken := [name for name in SET_HERE if name in arguments]:
        raise BadInput(f"{path} sets arguments.{taken[0]}: leave it out, classes and weights say it.")
    arguments = {**arguments, "in_chans": 1, "num_classes": classes}
    if architecture not in CONVMIXERS and not timm.is_model(architecture):
        near = get_close_matches(architecture, timm.list_models(), n=3, cutoff=0.5)
        raise BadInput(
            f"{path} sets architecture = {architecture!r}, which timm does not have: "
            + (f"near are {', '.join(near)}." if near else "timm.list_models() names those it has.")
        )
    try:
        if architecture in CONVMIXERS:
            convmixer: nn.Module = timm.models.convmixer.ConvMixer(**{**CONVMIXERS[architecture], **arguments})
            return convmixer, "stem.0", "head"
        network: nn.Module = timm.create_model(architecture, **arguments)
    except BadInput:
        raise
    except Exception as error:  # each architecture has its own words for arguments that it cannot take
        raise BadInput(f"{path}: {architecture} cannot be made with these arguments ({error}): mend them.") from error
    described: Mapping[str, Any] = getattr(network, "pretrained_cfg", {})
    first = described.get("first_conv")
    if not isinstance(first, str):
        raise BadInput(f"{path}: {architecture} has no single first layer for a key: take a ConvMixer or a ViT.")
    return network, first, str(described.get("classifier"))


def _import_timm() -> Any:
    declare_missing_operators()
    try:
        import timm
    except ImportError as error:
        raise BadInput("Models timm:… need timm: run `pip install timm`.") from error
    return timm


def _stored(weights: Path, path: Path) -> dict[str, Tensor]:
    """The tensors of the checkpoint."""
    if not os.path.isfile(weights):  # Path.is_file raises for a name that is too long
        raise BadInput(f"{path} sets weights = {weights.name!r}, but there is no {weights}.")
    return read_state_dict(weights)


def _elements(tensors: Mapping[str, Tensor]) -> int:
    return sum(tensor.numel() for tensor in tensors.values())


def _check_numbers(arguments: Mapping[str, Any], stored: Mapping[str, Tensor], longest: int, path: Path) -> None:
    """Refuse numbers that no network of these weights has: it would fill the memory before any shape is compared."""
    for name, value in arguments.items():
        most = longest if name == "img_size" else max(_elements(stored), SPARE)
        for number in _numbers(value):
            if abs(number) > most:
                raise BadInput(
                    f"{path} sets arguments.{name} = {value}, more than its weights or its clips have: mend it."
                )


def _numbers(value: Any) -> Iterator[float]:
    """All numbers of an argument, which may be a list or a table."""
    match value:
        case bool():
            return
        case int() | float():
            yield value
        case list():
            for one in value:
                yield from _numbers(one)
        case dict():
            yield from _numbers([*value.values()])


@contextmanager
def _no_more_weights_than(most: int, path: Path) -> Iterator[None]:
    """Refuse a network as soon as it has registered more weights than its file could fill."""
    made = 0

    def count(module: nn.Module, name: str, weight: nn.Parameter | None) -> None:
        nonlocal made
        made += 0 if weight is None else weight.numel()
        if made > most:
            raise BadInput(f"{path}: this network has many more weights than its file holds: check the arguments.")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


def _first(network: nn.Module, name: str, path: Path) -> nn.Module:
    """The first layer."""
    try:
        return network.get_submodule(name)
    except AttributeError as error:
        raise BadInput(f"{path}: with these arguments the network has no first layer {name}: mend them.") from error


def _fill(network: nn.Module, stored: Mapping[str, Tensor], weights: Path, head: str, classes: int, path: Path) -> None:
    """Copies the checkpoint into the network; BadInput names the first tensor that does not fit."""
    expected = network.state_dict()
    for name, value in expected.items():
        if name.endswith("num_batches_tracked"):
            continue
        if name not in stored:
            raise BadInput(f"{weights} has no {name}, which the architecture of {path} has: check the arguments.")
        if stored[name].shape == value.shape:
            continue
        if name.startswith(f"{head}."):
            raise BadInput(f"{path} names {classes} classes, but the head of {weights} has {len(stored[name])}.")
        raise BadInput(
            f"{weights} has {name} of shape {tuple(stored[name].shape)}, but the architecture of {path} has it of "
            f"{tuple(value.shape)}: check the arguments."
        )
    if strange := [name for name in stored if name not in expected]:
        raise BadInput(f"{weights} has {strange[0]}, which the architecture of {path} has not: check the arguments.")
    network.load_state_dict(expected | dict(stored))


# the front end


def _spectrogram(given: Mapping[str, Any], path: Path) -> tuple[LogMel | LogLinear, int]:
    """The front end, and the frames of a clip."""
    if given["scale"] not in SCALES:
        raise BadInput(f"{path} sets front_end.scale = {given['scale']!r}: choose one of {', '.join(SCALES)}.")
    if (given["mean"] is None) != (given["std"] is None):
        raise BadInput(f"{path} sets one of front_end.mean and front_end.std: give both, or none for clip by clip.")
    if given["std"] is not None and not (given["std"] > 0 and isfinite(given["std"]) and isfinite(given["mean"])):
        raise BadInput(
            f"{path} sets front_end.mean = {given['mean']} and std = {given['std']}: give numbers, a deviation above "
            "zero."
        )
    if given["sample_rate"] > MOST_RATE:
        raise BadInput(f"{path} sets front_end.sample_rate = {given['sample_rate']}: give {MOST_RATE} hertz at most.")
    try:
        names = ("sample_rate", "n_fft", "hop", "bins", "floor")
        spectrogram = SCALES[given["scale"]](**{name: given[name] for name in names})
    except BadInput as error:
        raise BadInput(f"{path}, front_end: {error}") from error
    seconds = given["clip_seconds"]
    if not 0 <= seconds * given["sample_rate"] / given["hop"] * given["bins"] <= MOST_CLIP:  # NaN is refused too
        raise BadInput(
            f"{path} sets front_end.clip_seconds = {seconds}: give a clip of {MOST_CLIP} bins times frames at most."
        )
    return spectrogram, 1 + round(seconds * given["sample_rate"]) // given["hop"]


def _clip_front_end(
    given: Mapping[str, Any], spectrogram: LogMel | LogLinear, clip_frames: int, layer: nn.Module, path: Path
) -> ClipFrontEnd:
    rows, columns = _patch(layer)
    bins, frames = given["bins"] // rows * rows, clip_frames // columns * columns
    if bins < 1 or frames < 1:
        raise BadInput(
            f"{path}: a clip of {given['bins']} bins and {max(clip_frames, 0)} frames is smaller than a patch of "
            f"{rows} by {columns}: give more front_end.bins or a longer front_end.clip_seconds."
        )
    scaling = None if given["mean"] is None else (given["mean"], given["std"])
    return ClipFrontEnd(spectrogram, clip_frames, bins, frames, scaling)


def _patch(layer: nn.Module) -> tuple[int, int]:
    """The window of a layer that reads patches side by side, `(bins, frames)`; 1, 1 for any other layer."""
    if isinstance(layer, nn.Conv2d) and layer.kernel_size == layer.stride and layer.padding in ((0, 0), "valid"):
        return layer.kernel_size[0], layer.kernel_size[1]
    return 1, 1


def _keep_learnt_places(network: nn.Module, clip: ClipFrontEnd, path: Path) -> None:
    """Makes a ViT pass over zeros behind a clip; BadInput where it has learnt other places than the clip has."""
    embedding: Any = getattr(network, "patch_embed", None)
    if getattr(embedding, "img_size", None) is None:
        return
    expected, patch = tuple(embedding.grid_size), tuple(embedding.patch_size)
    if expected != (clip.bins // patch[0], clip.frames // patch[1]):
        raise BadInput(
            f"{path}: the front end gives {clip.bins} bins and {clip.frames} frames, the network has learnt "
            f"{tuple(embedding.img_size)}: set arguments.img_size = [{clip.bins}, {clip.frames}] or mend front_end."
        )
    if embedding.flatten:
        network.patch_embed = LearntPlaces(embedding)
    else:
        embedding.img_size = None  # places are not counted, so it need not refuse another size
