"""Run folders with clips, and the server that shows them, asked without a browser."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.evaluation.run_folder.test_media import ABOUT, RATE, keep, tone
from tests.reports.conftest import write_run
from wrongkey.evaluation.run_folder.media import Clip, row_of

pytest.importorskip("starlette.testclient", reason="the extra `view` is not installed")

from starlette.testclient import TestClient

from wrongkey.view.app import app
from wrongkey.view.load import load

PORT, TOKEN = 8123, "a-token"
HOST = f"http://127.0.0.1:{PORT}"
Opened = Callable[..., TestClient]


def heard_run(
    folder: Path, values: Any = (30.0, 10.0, 20.0), *, recordings: str = "synthetic", **settings: Any
) -> Path:
    """A run with the clip of a tone, of ROM at M = 3 unless `settings` say another."""
    write_run(folder, values, corpus_recordings=recordings, **settings)
    keep(folder, row_of([Clip("original", tone(0.5))], RATE, **ABOUT | {"recordings": recordings}))
    return folder


def seen_run(folder: Path, **settings: Any) -> Path:
    """A run whose keys encrypt tiles of a spectrogram, with the clip of one of 8 bins and 31 frames."""
    write_run(folder, [30.0, 10.0], task="asr", metric="wer", dims=2, config={"blocks": "tiles"}, **settings)
    spectrogram = np.random.default_rng(0).normal(size=(8, 31))
    keep(folder, row_of([Clip("original", spectrogram)], 100, **ABOUT | {"blocks": "tiles"}))
    return folder


def client(view: Any, token: str = TOKEN) -> TestClient:
    """A browser on this machine; with the token in its cookie, unless it is ""."""
    cookies = {f"wrongkey-{PORT}": token} if token else {}
    return TestClient(app(view, TOKEN, PORT), base_url=HOST, cookies=cookies, follow_redirects=False)


@pytest.fixture
def opened() -> Opened:
    """`opened(*folders, **settings)` is a browser at the server of these folders."""
    return lambda *folders, **settings: client(load(folders, **settings))


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the server shows of one run, "rom", without its page."""
    view = load([heard_run(tmp_path_factory.mktemp("runs") / "rom")])
    return replace(view, page="<p>the page</p>")
