"""What a manifest may open: a run folder is data, and someone else's data must not run code.

Bundled models and speech, and readers of files, are opened from a manifest. Anything that would run code, or read more
than the files that it names, is opened only where the user asks for it: commands, code of a user's or of an installed
package, and models of transformers and ESPnet, whose folders name classes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from wrongkey.errors import BadInput
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.corpora import layouts
from wrongkey.evaluation.models import registry
from wrongkey.evaluation.models.offered import LOADERS
from wrongkey.keys import family
from wrongkey.keys.spec import parse
from wrongkey.plugins import Registry

READERS_OF_WEIGHTS = ("rawnext", "timm", "ge2e")  # tensors alone (torch's weights_only, safetensors), no code
EVERYTHING = "*"  # among the trusted specs: all that the manifest names


def refuse_code(config: SweepConfig, manifest: Path, trusted: Collection[str] = ()) -> None:
    """Refuse a manifest that would run code, or whose files cannot be read here.

    Reading from a device or a pipe may never end, and a list named by a relative path is found only where the sweep
    was made.

    Parameters
    ----------
    config : SweepConfig
        What the manifest says.
    manifest : Path
        Its file, for the sentence.
    trusted : collection of str
        Models, corpora and schemes that may run code; `EVERYTHING` stands for all.

    Raises
    ------
    BadInput
    """
    refuse_risks(
        (
            ("model", config.model, model_risk(config.model)),
            ("corpus", config.corpus, corpus_risk(config.corpus)),
            ("scheme", config.scheme, scheme_risk(config.scheme)),
        ),
        manifest,
        trusted,
    )
    refuse_devices((config.model, config.corpus, config.only, config.trials), manifest)
    for flag, listed in (("--only", config.only), ("--trials", config.trials)):
        if listed and not Path(listed).exists() and not (flag == "--trials" and listed == "corpus"):
            remedy = "put it back" if Path(listed).is_absolute() else "run this in the folder where the sweep was run"
            raise BadInput(f"The sweep's {flag} {listed} ({manifest}) is not there: {remedy}.")


def refuse_risks(named: Iterable[tuple[str, str, str | None]], manifest: Path, trusted: Collection[str] = ()) -> None:
    """Raise BadInput for the first name that would run code: what it names, the name, and what opening it does."""
    for what, spec, does in named:
        if does and spec not in trusted and EVERYTHING not in trusted:
            raise BadInput(
                f"{manifest} names the {what} {spec!r}, which {does}: add --trust if you trust whoever made this run."
            )


def refuse_devices(named: Iterable[str | None], manifest: Path) -> None:
    """Raise BadInput for a name that is neither a file nor a folder, though something is there."""
    for name in filter(None, named):
        for place in (name, name.partition(":")[2]):
            path = Path(place).expanduser()
            if place and path.exists() and not (path.is_file() or path.is_dir()):
                raise BadInput(f"{manifest} names {place}, which is neither a file nor a folder: sweep again yourself.")


def model_risk(spec: str) -> str | None:
    """Return what opening a model would do beyond reading files, such as "runs that command"; None for nothing."""
    prefix, colon, _ = spec.partition(":")
    if colon and prefix in READERS_OF_WEIGHTS:
        return None
    if colon and prefix == "command":
        return "runs that command"
    if colon and prefix in LOADERS:
        library = "ESPnet" if prefix == "espnet" else "transformers"
        return f"has {library} open files that may name code to run"
    return code_risk(spec, registry.REGISTRY)


def corpus_risk(spec: str) -> str | None:
    """Return what opening a corpus would do beyond reading files; None for nothing."""
    layout, colon, _ = spec.partition(":")
    if colon and layout in layouts.READERS:
        return None
    path = Path(spec).expanduser()
    if path.is_dir() or (path.is_file() and path.suffix in layouts.BY_SUFFIX):
        return None
    return code_risk(spec, layouts.REGISTRY)


def scheme_risk(spec: str) -> str | None:
    """Return what opening a scheme would do beyond looking it up; None for nothing."""
    return code_risk(parse(spec).base, family.REGISTRY)


def code_risk(spec: str, known: Registry) -> str | None:
    """Return what runs where a name is opened; an unknown word runs nothing, and is refused where it is opened."""
    if spec in known.builtin:
        return None
    if spec in known.registered():
        return "runs code of the installed package that registers this name"
    module, colon, _ = spec.partition(":")
    return f"runs the Python module {module}" if colon else None
