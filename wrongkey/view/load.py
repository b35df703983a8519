"""Loads what `wrongkey view` shows: the page of the report, and the keys and the kept speech of every run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import soundfile

from wrongkey.commands.report import read_everything
from wrongkey.evaluation.run_folder.media import opus_bytes
from wrongkey.keys.blocks import Blocks
from wrongkey.reports.content import report_content
from wrongkey.reports.listen import find_clips
from wrongkey.reports.page.html import render
from wrongkey.reports.plates import plate
from wrongkey.reports.runs import Run
from wrongkey.view.app import Shown, View
from wrongkey.view.keys import KeysOfRun


def load(paths: Sequence[Path], real: bool = False, trusted: bool = False) -> View:
    """Read run folders into what the server shows; `real`: with real people's clips, where they were kept."""
    runs, attacks, analyses = read_everything(paths)
    page = render(report_content(runs, attacks, analyses, real=real), view=True)
    return View(page, {run.name: _shown(run, real, trusted) for run in runs}, opus_bytes, plate)


def _shown(run: Run, real: bool, trusted: bool) -> Shown:
    keys = KeysOfRun(run, trusted)
    if run.blocks != Blocks.SAMPLES:
        return Shown(keys)
    rows = find_clips([run.folder], real).rows
    originals = [clip.audio for row in rows for clip in row.clips if clip.role == "original" and clip.audio]
    if not originals:
        return Shown(keys)
    speech, rate = soundfile.read(originals[0], dtype="float32")
    return Shown(keys, speech, rate)
