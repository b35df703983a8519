"""All benchmarks of speed, one after another, into the tables of docs/performance.md.

``make bench``, or ``python -m benchmarks.bench [--only NAME …] [--whisper FOLDER] [--out runs/bench] [--page FILE]
[--short]``

Each measurement is a process of its own and leaves ``OUT/NAME.json``: its tables, when, where and with which versions
they were made, and a hash of the code. One whose file is there is skipped, unless code, arguments, PyTorch, Python or
processor have changed since; the same command goes on where it was stopped. The tables of the page stand between
markers ``<!-- bench: NAME -->`` and ``<!-- bench end -->``, and nothing else of the page is touched. ``--short``
measures as little as possible, to see that everything runs: it writes no page unless one is named.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
import torch

from benchmarks.tables import Table
from wrongkey.evaluation.hardware import available_cores, describe_processor
from wrongkey.files import atomic_write

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "performance.md"
ROOMS = ("keys", "evaluation")  # whose code decides a result; some measurements depend on others, too
LIBRARIES = (
    "numpy",
    "scipy",
    "numba",
    "pghipy",
    "tifresi",
    "ltfatpy",
    "scikit-learn",
    "speechbrain",
    "jiwer",
    "espnet",
    "editdistance",
)
MISSING = "Not measured yet: `make bench`."
RECOGNISED = ("--model", "asr-words", "--task", "asr", "--corpus", "bundled-words")
FEW = ("--per-speaker", "2")  # of the short form


@dataclass(frozen=True)
class Measurement:
    """A call of a benchmark.

    name: of its file, and of the place in the page that gets its tables; several of one place have it before a colon.
    short: arguments of the short form.
    whisper: what names the folder of a Whisper checkpoint, where one is given.
    rooms: folders and files of code that it depends on, beside `ROOMS`.
    """

    name: str
    module: str
    arguments: tuple[str, ...]
    short: tuple[str, ...]
    whisper: str | None = None
    rooms: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """Where in the page its tables stand."""
        return self.name.partition(":")[0]

    @property
    def file(self) -> str:
        """The name of its file."""
        return self.name.replace(":", "-") + ".json"


ALL = (
    Measurement(
        "sweep:asv-raw10", "sweep", ("--model", "asv-raw10", "--keys", "200", "--rounds", "5"),
        ("--model", "asv-raw10", *FEW, "--keys", "2", "--rounds", "1"),
    ),
    Measurement(
        "sweep:asv-raw3", "sweep", ("--model", "asv-raw3", "--keys", "100", "--rounds", "5"),
        ("--model", "asv-raw3", *FEW, "--keys", "2", "--rounds", "1"),
    ),
    Measurement(
        "start", "start", ("--rounds", "5"), ("--keys", "1", "--rounds", "1", "--workers", "one"), rooms=("wrongkey",)
    ),
    Measurement(
        "roofline", "roofline", (), ("asc-convmixer", "--least", "0.01"), whisper="--whisper",
        rooms=("benchmarks/networks.py",),
    ),
    Measurement(
        "compiled", "compiled", (), ("asv-raw10", "--least", "0.01", "--compilers", "default"), whisper="--whisper",
        rooms=("benchmarks/networks.py",),
    ),
    Measurement(
        "recognisers", "recognisers", ("asr-words",),
        ("asr-words", "--keys", "1", "--speech", "2", "--rounds", "1"), whisper="",
    ),
    Measurement(
        "scoring", "scoring", (), ("--keys", "1", "--rounds", "1", "--models", "asv-raw10"), whisper="--whisper",
        rooms=("benchmarks/scorers.py",),
    ),
    Measurement("plan:asv-raw10", "plan", (), (*FEW, "--keys", "4"), rooms=("wrongkey",)),
    Measurement("plan:asr-words", "plan", RECOGNISED, (*RECOGNISED, *FEW, "--keys", "4"), rooms=("wrongkey",)),
    Measurement("threads", "threads", (), (*FEW, "--keys", "4", "--rounds", "1")),
    Measurement("cluster", "cluster", (), (*FEW, "--keys", "10", "--rounds", "1")),
    Measurement("long-corpus", "long_corpus", (), ("--utterances", "40", "--keys", "2"), rooms=("wrongkey",)),
    Measurement("freed-memory", "freed_memory", (), ("--rows", "8", "--keys", "2", "--calls", "1", "--rounds", "1")),
    Measurement("million-keys", "million_keys", (), ("--keys", "200"), rooms=("wrongkey",)),
    Measurement(
        "reports", "report_scale", (), ("--case", "1", "100"), rooms=("reports", "wrongkey")
    ),
    Measurement("draw", "draw", (), ("--share", "100", "--rounds", "1")),
    Measurement("phase", "phase", (), ("--utterances", "1", "--repeats", "1"), rooms=("attacks",)),
    Measurement(
        "attacks", "attack_costs", (), ("--trials", "1", "--attacks", "polyphase"),
        rooms=("attacks", "benchmarks/structured.py"),
    ),
)  # fmt: skip


def main() -> None:
    """Measure what is missing, and write the page."""
    options = _options()
    page = options.page or (None if options.short else PAGE)
    options.out.mkdir(parents=True, exist_ok=True)
    chosen = [one for one in ALL if not options.only or one.place in options.only]
    failed = []
    for one in chosen:
        arguments = _arguments(one, options)
        if _result(one, arguments, options.out) is not None:
            print(f"{one.name}: there", flush=True)
        elif not _measure(one, arguments, options.out):
            failed.append(one.name)
            continue  # the page keeps what it has
        if page is not None:
            write_place(page, one.place, _text(one.place, options))
    if failed:
        raise SystemExit(f"Failed: {', '.join(failed)}; their tables are as they were.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    places = list(dict.fromkeys(one.place for one in ALL))
    parser.add_argument("--only", nargs="+", choices=places, metavar="NAME", help=", ".join(places))
    parser.add_argument("--whisper", type=Path, metavar="FOLDER", help="of a Whisper checkpoint, measured as well")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "bench", help="where results are kept")
    parser.add_argument("--page", type=Path, help="whose tables are written (docs/performance.md)")
    parser.add_argument("--short", action="store_true", help="measure as little as possible")
    return parser.parse_args()


def _arguments(one: Measurement, options: argparse.Namespace) -> list[str]:
    arguments = list(one.short if options.short else one.arguments)
    folder = options.whisper or _whisper_before(one, options.out)
    if one.whisper is not None and folder is not None:
        named = str(folder.resolve())
        arguments += [one.whisper, named] if one.whisper else [f"whisper:{named}"]
    return arguments


def _whisper_before(one: Measurement, out: Path) -> Path | None:
    """The folder of the Whisper checkpoint that was measured before, if it is still there."""
    given = (_kept(one, out) or {}).get("made_by", {}).get("arguments") or [""]
    folder = Path(str(given[-1]).removeprefix("whisper:"))
    return folder if folder.is_absolute() and folder.is_dir() else None


def _measure(one: Measurement, arguments: Sequence[str], out: Path) -> bool:
    """Run a benchmark and keep its tables; False where it fails."""
    print(f"{one.name}: {_command(one, arguments)}", flush=True)
    tables, busy = out / f".{one.name}.tables", _busy_cores()
    command = [sys.executable, "-m", f"benchmarks.{one.module}", *arguments, "--json", str(tables.resolve())]
    places = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    code = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": places}).returncode
    if code:
        print(f"{one.name}: failed with exit code {code}", file=sys.stderr, flush=True)
        return False
    found = {"name": one.name, "made_by": _made_by(one, arguments), "measured": _measured(busy)}
    found["tables"] = json.loads(tables.read_text(encoding="utf-8"))
    with atomic_write(out / one.file) as file:
        file.write(f"{json.dumps(found, indent=1)}\n".encode())
    tables.unlink()
    return True


def _busy_cores() -> float:
    """Cores that other processes keep busy: over a second, as a load average would count the measurement before."""
    return psutil.cpu_percent(1.0) / 100 * float(psutil.cpu_count())


def _measured(busy: float) -> dict[str, Any]:
    """When and where a measurement was made, and how many cores were busy before it began."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{platform.system()} {platform.machine()}, {available_cores()} cores",
        "busy": round(busy, 1),
        "libraries": {name: found for name in LIBRARIES if (found := _version(name)) is not None},
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _made_by(one: Measurement, arguments: Sequence[str]) -> dict[str, Any]:
    """What must be as it was for a result to be taken again."""
    return {
        "code": _hash(one),
        "arguments": list(arguments),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "processor": describe_processor(),
    }


def _hash(one: Measurement) -> str:
    """A hash of the code that a measurement depends on."""
    found = hashlib.sha256()
    for path in (ROOT / "benchmarks" / f"{one.module}.py", *_sources((*ROOMS, *one.rooms))):
        found.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return found.hexdigest()[:16]


def _sources(rooms: Sequence[str]) -> Iterator[Path]:
    for room in (ROOT / name for name in rooms):  # rglob does not follow the links of wrongkey/ to the other rooms
        yield from [room] if room.is_file() else sorted(room.rglob("*.py"))


def _result(one: Measurement, arguments: Sequence[str], out: Path) -> Mapping[str, Any] | None:
    """The result that is there, made by this code in this way on such a machine."""
    found = _kept(one, out)
    return found if found is not None and found.get("made_by") == _made_by(one, arguments) else None


def _kept(one: Measurement, out: Path) -> Mapping[str, Any] | None:
    """The result that is there, however it was made."""
    try:
        found = json.loads((out / one.file).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _text(place: str, options: argparse.Namespace) -> str:
    """What the page says in a place: the tables of its measurements, and how each was made."""
    texts = []
    tables: list[list[Table]] = []
    for one in ALL:
        if one.place != place:
            continue
        arguments = _arguments(one, options)
        if (found := _result(one, arguments, options.out)) is None:
            texts.append(f"{one.name}: not measured yet.")
            continue
        tables.append([Table(**table) for table in found["tables"]])
        texts.append(_how(one, found))
    if not tables:
        return MISSING
    return "\n\n".join([*(table.markdown() for table in _joined(tables)), *dict.fromkeys(texts)])


def _joined(results: Sequence[Sequence[Table]]) -> list[Table]:
    """The tables of several measurements with the same columns, as one of each."""
    return [
        Table(
            same[0].columns, [row for one in same for row in one.rows], " ".join(one.note for one in same if one.note)
        )
        for same in zip(*results, strict=True)
    ]


def _how(one: Measurement, found: Mapping[str, Any]) -> str:
    made_by, measured = found["made_by"], found["measured"]
    return (
        f"*{measured['date']}, {made_by['processor']}, {measured['machine']}, {measured['busy']} cores busy before, "
        f"torch {made_by['torch']}, Python {made_by['python']}: `{_command(one, made_by['arguments'])}`.*"
    )


def _command(one: Measurement, arguments: Sequence[str]) -> str:
    """The command without paths of this machine."""
    shown = [re.sub(r"/.*/", "", word) for word in arguments]
    return " ".join(["python -m", f"benchmarks.{one.module}", *shown])


def write_place(page: Path, place: str, text: str) -> None:
    """Replace what stands between the markers of a place in a page; raises SystemExit where they are missing."""
    before = page.read_text(encoding="utf-8")
    pattern = re.compile(rf"(<!-- bench: {re.escape(place)} -->\n).*?(<!-- bench end -->)", re.DOTALL)
    after, count = pattern.subn(lambda found: f"{found[1]}\n{text}\n\n{found[2]}", before)
    if count != 1:
        raise SystemExit(
            f"{page} has {count} places for {place}: write <!-- bench: {place} --> and <!-- bench end -->."
        )
    if after != before:
        with atomic_write(page) as file:
            file.write(after.encode())


if __name__ == "__main__":
    main()
