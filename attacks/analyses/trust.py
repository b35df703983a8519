"""What a manifest may have opened: a run folder is data, and data of a stranger runs nothing.

Bundled models and speech, and readers of files, are opened from a manifest. Whatever would run code or reach for more
than the files it names (a command, a user's factory, an installed package's, models of transformers and ESPnet, whose
folders name classes) is opened where the user says so.
"""

from __future__ import annotations

from collections.abc import Collection
from importlib.metadata import entry_points
from pathlib import Path

from wrongkey.errors import BadInput
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.corpora import layouts
from wrongkey.evaluation.models import protocol
from wrongkey.keys.schemes import SCHEMES

READERS_OF_WEIGHTS = ("rawnext", "timm", "ge2e")  # tensors alone (torch's weights_only, safetensors), no code
EVERYTHING = "*"  # among the trusted specs: all that the manifest names
SCHEME_ENTRY_POINTS = "wrongkey.schemes"


def refuse_code(config: SweepConfig, manifest: Path, trusted: Collection[str] = ()) -> None:
    """Raises BadInput where model, corpus or scheme of a manifest would run code and is not among the `trusted` specs,
    and where a file that it names is a device or a pipe, which may never end."""
    for name, spec, does in (
        ("model", config.model, model_risk(config.model)),
        ("corpus", config.corpus, corpus_risk(config.corpus)),
        ("scheme", config.scheme, scheme_risk(config.scheme)),
    ):
        if does and spec not in trusted and EVERYTHING not in trusted:
            raise BadInput(
                f"{manifest} names the {name} {spec!r}, which {does}: add --trust if you trust whoever made this run"
            )
    for named in filter(None, (config.model, config.corpus, config.only, config.trials)):
        for place in (named, named.partition(":")[2]):
            path = Path(place).expanduser()
            if place and path.exists() and not (path.is_file() or path.is_dir()):
                raise BadInput(f"{manifest} names {place}, which is neither a file nor a folder: sweep again yourself")


def model_risk(spec: str) -> str | None:
    """What opening a model would do beyond reading files: "runs the command my-asr"; None for nothing."""
    prefix, colon, _ = spec.partition(":")
    if spec in protocol.BUNDLED or (colon and prefix in READERS_OF_WEIGHTS):
        return None
    if colon and prefix == "command":
        return "runs that command"
    if colon and prefix in protocol.LOADERS:
        library = "ESPnet" if prefix == "espnet" else "transformers"
        return f"has {library} open files that may name code to run"
    return _factory_risk(spec, protocol.ENTRY_POINTS)


def corpus_risk(spec: str) -> str | None:
    """What opening a corpus would do beyond reading files; None for nothing."""
    layout, colon, _ = spec.partition(":")
    if spec in ("bundled", "bundled-words") or (colon and layout in layouts.READERS):
        return None
    path = Path(spec).expanduser()
    if path.is_dir() or (path.is_file() and path.suffix in layouts.BY_SUFFIX):
        return None
    return _factory_risk(spec, layouts.ENTRY_POINTS)


def scheme_risk(name: str) -> str | None:
    """What finding a scheme would do beyond looking it up; None for nothing."""
    return None if name in SCHEMES else _factory_risk(name, SCHEME_ENTRY_POINTS)


def _factory_risk(spec: str, group: str) -> str | None:
    """An unknown word runs nothing: whoever opens it says that it is unknown."""
    if entry_points(group=group, name=spec):
        return "runs code of the installed package that registers this name"
    module, colon, _ = spec.partition(":")
    return f"runs the Python module {module}" if colon else None
