"""Loads what `wrongkey view` shows: the page of the report, and the keys and the kept speech of every run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wrongkey.commands.report import read_all
from wrongkey.evaluation.run_folder.media import load_clip
from wrongkey.keys.blocks import Blocks
from wrongkey.reports.listen import find_clips
from wrongkey.reports.page.write import served_page
from wrongkey.reports.runs import Run
from wrongkey.view.app import Shown, View
from wrongkey.view.keys import KeysOfRun


def load(paths: Sequence[Path], real: bool = False, trusted: bool = False) -> View:
    """Read run folders into what the server shows; `real`: with real people's clips, where they were kept."""
    runs, attacks, analyses = read_all(list(paths))
    page = served_page(runs, attacks, analyses, "/view.js", real)
    return View(page, {run.name: _shown(run, real, trusted) for run in runs})


def _shown(run: Run, real: bool, trusted: bool) -> Shown:
    keys = KeysOfRun(run, trusted)
    if run.blocks != Blocks.SAMPLES:
        return Shown(keys)
    for row in find_clips([run.folder], real).rows:
        for clip in row.clips:
            if clip.role == "original" and clip.audio is not None:
                speech, rate = load_clip(run.folder, clip.audio.name)
                return Shown(keys, speech.astype(np.float32), rate)
    return Shown(keys)
