"""Writing a report: each format of it, whole or not at all."""

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from wrongkey.errors import BadInput
from wrongkey.evaluation.run_folder.schema import read_json
from wrongkey.files import explained_errors, temporary_folder
from wrongkey.reports.analyses import Analysis
from wrongkey.reports.attacks.rows import AttackRun
from wrongkey.reports.content import content_of
from wrongkey.reports.content.attacks import attack_numbers
from wrongkey.reports.content.gather import Gathered, gather
from wrongkey.reports.content.listen import heard
from wrongkey.reports.content.schema import Report
from wrongkey.reports.page.drawn import Drawn, draw_all
from wrongkey.reports.page.html import Media, render
from wrongkey.reports.page.pdf import write_pdf
from wrongkey.reports.page.scratch import scratch_folder
from wrongkey.reports.page.texts import to_tex, to_text
from wrongkey.reports.runs import Run, load_runs
from wrongkey.reports.strength.runs import StrengthRun
from wrongkey.reports.strength.tables import strength_numbers
from wrongkey.reports.tables import numbers, to_csv

FORMATS = ("html", "json", "pdf", "md", "csv", "tex")
DRAWN = {"html", "json", "pdf"}  # have figures
AGAIN = ("html", "json", "md", "tex")  # can be made of report.json alone


@dataclass(frozen=True)
class Asked:
    """Which files a report is written to, by format, and where its figures go. `served`: as in `render`."""

    places: Mapping[str, Path]
    figures: Path
    look: str = "screen"
    real: bool = False
    served: str = ""


@dataclass(frozen=True)
class Written:
    """The files of a report, and the answer that it gives."""

    files: list[Path]
    headline: str


Say = Callable[[str], None]  # a line of the log


def _nothing(line: str) -> None:
    pass


def write_report(
    folders: Iterable[Path | str | Run],
    out: Path,
    figures: Path | None = None,
    attacks: Sequence[AttackRun] = (),
    analyses: Sequence[Analysis] = (),
    strengths: Sequence[StrengthRun] = (),
) -> Path:
    """Write the page of some run folders, and its figures beside it.

    Parameters
    ----------
    folders : iterable of Path, str or Run
        Run folders, or runs that are already read. May be empty where there are attacks, analyses or strengths.
    out : Path
        The HTML file.
    figures : Path, optional
        Folder for the figures, by default `<stem of out>-figures` next to `out`.
    attacks : sequence of AttackRun
        Of these or other run folders (`wrongkey.reports.attacks.rows.find_attacks`).
    analyses : sequence of Analysis
        Of these or other run folders (`wrongkey.reports.analyses.find_analyses`).
    strengths : sequence of StrengthRun
        Of these or other run folders (`wrongkey.reports.strength.runs.find_strength`).

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    BadInput
        For folders that cannot be read, and for an `out` that cannot be written.
    """
    out = Path(out)
    write_formats(folders, Asked({"html": out}, figures or figures_beside(out)), attacks, analyses, strengths=strengths)
    return out


def write_formats(
    folders: Iterable[Path | str | Run],
    asked: Asked,
    attacks: Sequence[AttackRun],
    analyses: Sequence[Analysis],
    say: Say = _nothing,
    strengths: Sequence[StrengthRun] = (),
) -> Written:
    """Write a report in every format that is asked for; `say` is told what is going on.

    Raises
    ------
    BadInput
        As `write_report`, and for a format that has nothing to say about these folders.
    """
    _check(asked.places)
    given = list(folders)
    runs = load_runs(given) if given or not (attacks or analyses or strengths) else []
    if "csv" in asked.places and not (runs or attacks or strengths):
        raise BadInput(
            "--format csv holds the numbers of sweeps, attacks and strengths, and there are none: leave it out."
        )
    found = gather(runs, attacks, analyses, strengths)
    first = next(iter(asked.places.values()))
    try:
        for place in asked.places.values():
            place.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(first.parent) as scratch:
            made, headline = _made(found, asked, scratch, say)
            return Written(_publish(made, scratch, asked), headline)
    except OSError as error:
        raise BadInput(f"The report cannot be written to {first} ({error}): choose another place.") from None


def write_again(source: Path, asked: Asked, say: Say = _nothing) -> Written:
    """Make a report again from its `report.json`, and from the figures that lie beside it.

    `say` is told where some of these are missing, which a page then lacks.

    Raises
    ------
    BadInput
        For a file that is not a report, and for a format that needs the run folders.
    """
    _check(asked.places)
    if needing := [name for name in asked.places if name not in AGAIN]:
        raise BadInput(f"--format {needing[0]} needs the run folders: give them in place of {source}.")
    content = read_json(source, cast(Any, Report))
    named, folder = _media(content), figures_beside(source)
    with explained_errors(folder, "check the permissions of the figures", action="read"):
        media = {name: (folder / name).read_bytes() for name in named if (folder / name).is_file()}
    if "html" in asked.places and len(media) < len(named):
        say(
            f"caution: {folder} lacks {len(named) - len(media)} of the {len(named)} figures and clips that {source} "
            "names, and so does the page: put the folder beside the file."
        )
    first = next(iter(asked.places.values()))
    try:
        first.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(first.parent) as scratch:
            return Written(_publish(_texts(content, media, asked), scratch, asked), content["headline"])
    except OSError as error:
        raise BadInput(f"The report cannot be written to {first} ({error}): choose another place.") from None


def served_page(found: Gathered, script: str, real: bool, say: Say = _nothing) -> str:
    """The page as `wrongkey view` serves it, with a further script; no file is kept."""
    place = Path("report.html")
    asked = Asked({"html": place}, Path(), real=real, served=script)
    with tempfile.TemporaryDirectory(prefix="wrongkey-view-", dir=temporary_folder()) as scratch:
        return _made(found, asked, Path(scratch), say)[0][place].decode()


def figures_beside(out: Path) -> Path:
    """The folder of the figures of a report."""
    return out.with_name(f"{out.stem}-figures")


def _check(places: Mapping[str, Path]) -> None:
    for name, place in places.items():
        if place.is_dir():
            example = place / f"report.{name}"
            raise BadInput(f"{place} is a folder: name a file for the report, for example {example}.")


def _made(found: Gathered, asked: Asked, scratch: Path, say: Say) -> tuple[dict[Path, bytes], str]:
    """The content of every file but the figures, which are in the scratch folder by then; and the headline."""
    kept: list[Drawn] = []
    drawn = {}
    if DRAWN & set(asked.places):
        say("Drawing the figures …")
        drawn = draw_all(found, scratch, asked.look, kept.append if "pdf" in asked.places else None, real=asked.real)
    media: dict[str, bytes] = {path.name: path.read_bytes() for path in sorted(scratch.glob("*.svg"))}
    listen = None
    say("Writing the report …")
    if {"html", "json"} & set(asked.places):
        everything: list[Run | AttackRun | Analysis | StrengthRun]
        everything = [*found.runs, *found.attacks, *found.analyses, *found.strengths]
        listen, clips = heard(list(dict.fromkeys(one.folder for one in everything)), asked.real)
        media |= clips
        if "json" in asked.places:  # so that the page can be made again
            for name, clip in clips.items():
                (scratch / name).write_bytes(clip)
    tables = _csv(found)
    content = content_of(found, figures=drawn, listen=listen, downloads=[*tables, "tables.tex", "report.md"])
    if "html" in asked.places:
        media |= {name: text.encode("utf-8", "backslashreplace") for name, text in tables.items()}
    made = _texts(content, media, asked)
    if "pdf" in asked.places:
        made[asked.places["pdf"]] = write_pdf(content, kept)
    if place := asked.places.get("csv"):
        names = list(tables)
        made[place] = tables[names[0]].encode("utf-8", "backslashreplace")
        for name in names[1:]:
            made[place.with_name(f"{place.stem}-{name}")] = tables[name].encode("utf-8", "backslashreplace")
    return made, content["headline"]


def _csv(found: Gathered) -> dict[str, str]:
    """The numbers of sweeps, attacks and strengths, those that there are."""
    tables = {"scores.csv": numbers(found.main)} if found.main else {}
    tables |= {"attacks.csv": attack_numbers(found)} if found.attacks else {}
    tables |= {"strength.csv": strength_numbers(found.strengths)} if found.strengths else {}
    return {name: to_csv(table) for name, table in tables.items()}


def _texts(content: dict[str, Any], media: Media, asked: Asked) -> dict[Path, bytes]:
    """The formats that are made of report.json and its media."""
    write = {
        "json": lambda: json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n",
        "md": lambda: to_text(content),
        "tex": lambda: to_tex(content),
        "html": lambda: render(content, _downloads(content) | dict(media), served=asked.served),
    }
    return {
        place: write[name]().encode("utf-8", "backslashreplace")
        for name, place in asked.places.items()
        if name in write
    }


def _downloads(content: dict[str, Any]) -> dict[str, bytes]:
    """The downloads of a page that are made of its content."""
    made = {"report.md": to_text(content), "tables.tex": to_tex(content)}
    return {name: text.encode("utf-8", "backslashreplace") for name, text in made.items()}


def _publish(made: Mapping[Path, bytes], scratch: Path, asked: Asked) -> list[Path]:
    """Move the figures, and then the files, to where they were asked for."""
    drawn = sorted(scratch.iterdir())
    for number, content in enumerate(made.values()):
        (scratch / f"{number}.part").write_bytes(content)
    if drawn:
        asked.figures.mkdir(parents=True, exist_ok=True)
    for path in drawn:
        os.replace(path, asked.figures / path.name)
    for number, place in enumerate(made):
        os.replace(scratch / f"{number}.part", place)
    return list(made)


def _media(content: Mapping[str, Any]) -> list[str]:
    """The files of the figures and clips that a report names; none that leads into another folder."""
    names = [f"{one['name']}.svg" for one in _figures(content)]
    rows = (content["listen"] or {"rows": []})["rows"]
    names += [name for row in rows for clip in row["clips"] for name in (clip["audio"], clip["plate"]) if name]
    return [name for name in names if Path(name).name == name]


def _figures(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    single = [one for one in (content["attacks"], content.get("strength")) if one]
    parts = [*content["sections"], *content["analyses"], *single]
    return [figure for part in parts for figure in part["figures"]]
