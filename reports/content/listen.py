"""What can be heard in a report: its words as data, and its clips and spectrograms as files."""

from collections.abc import Sequence
from pathlib import Path

from wrongkey.reports.content.schema import Clip, ClipRow, Listen
from wrongkey.reports.listen import ClipRow as KeptRow
from wrongkey.reports.listen import find_clips


def heard(folders: Sequence[Path], real: bool = False) -> tuple[Listen | None, dict[str, bytes]]:
    """The clips of some run folders, and their files by name.

    Parameters
    ----------
    folders : sequence of Path
        Run folders.
    real : bool
        Whether clips of real people are shown.

    Returns
    -------
    tuple
        None and no files where there is nothing to hear and nothing withheld.
    """
    found = find_clips(folders, real)
    if not (found.rows or found.withheld or found.damaged):
        return None, {}
    files: dict[str, bytes] = {}
    rows = [_row(row, number, files) for number, row in enumerate(found.rows, start=1)]
    return Listen(rows=rows, withheld=" ".join(filter(None, (found.withheld, *found.damaged))), real=found.real), files


def _row(row: KeptRow, number: int, files: dict[str, bytes]) -> ClipRow:
    clips = []
    for place, clip in enumerate(row.clips, start=1):
        name = f"clip-{number}-{place}"
        files[f"{name}.png"] = clip.plate
        audio = None
        if clip.audio is not None:
            audio = f"{name}{clip.audio.suffix}"
            files[audio] = clip.audio.read_bytes()
        clips.append(
            Clip(
                role=clip.role,
                caption=clip.caption,
                alt=clip.alt,
                audio=audio,
                plate=f"{name}.png",
                seconds=clip.seconds,
            )
        )
    return ClipRow(label=row.label, facts=row.facts, anchor=row.anchor, clips=clips)
