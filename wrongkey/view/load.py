"""Loads what `wrongkey view` shows: the page of the report, and the keys and the kept speech of every run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wrongkey.reports.content.gather import gather
from wrongkey.reports.found import find_all
from wrongkey.reports.page.write import served_page
from wrongkey.reports.runs import Run
from wrongkey.terminal import note
from wrongkey.view.app import Shown, View
from wrongkey.view.keys import KeysOfRun
from wrongkey.view.sound import kept_speech


def load(paths: Sequence[Path], real: bool = False, trusted: bool = False) -> View:
    """Read run folders into what the server shows; `real`: with real people's clips, where they were kept."""
    note(f"Reading {', '.join(map(str, paths))} …")
    read = find_all(paths)
    for reason in read.left_out:
        note(f"wrongkey: left out: {reason}")
    found = gather(read.runs, read.attacks, read.analyses, read.strengths)
    page = served_page(found, "/view.js", real, say=note)
    return View(page, {name: _shown(run, name, real, trusted) for run, name in found.names.items()})


def _shown(run: Run, name: str, real: bool, trusted: bool) -> Shown:
    keys = KeysOfRun(run, name, trusted)
    kept, silence = kept_speech(run.folder, run.blocks, real)
    return Shown(keys, kept, silence)
