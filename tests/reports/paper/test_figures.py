"""The paper's figures from what analyses kept: what is drawn, of whom, and one sentence for broken files."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from wrongkey.errors import BadInput
from wrongkey.evaluation.run_folder.vocabulary import ANALYSIS_COLUMNS
from wrongkey.reports.analyses import Analysis, find_analyses
from wrongkey.reports.content.gather import Gathered
from wrongkey.reports.figures.spectrograms import PIXELS, smaller
from wrongkey.reports.figures.style import save_figure, styled
from wrongkey.reports.page.drawn import figures
from wrongkey.reports.paper.figures import paper_figures

RANDOM = np.random.default_rng(0)


def levels() -> np.ndarray:
    """A spectrogram `(257, 200)` in dB whose neighbours are alike, as those of speech are."""
    return np.kron(RANDOM.integers(-80, 1, (129, 100)), np.ones((2, 2)))[:257].astype(np.int8)


def analysed(folder: Path, name: str, recordings: str = "synthetic") -> Analysis:
    """A run folder with an analysis and what it keeps."""
    place, media = folder / "analyses", folder / "media" / name
    place.mkdir(parents=True)
    media.mkdir(parents=True)
    row: dict[str, Any] = dict.fromkeys(ANALYSIS_COLUMNS[name], "x") | {"block_size": 3, "value": 1.0}
    pd.DataFrame([row]).to_parquet(place / f"{name}.parquet", index=False)
    about = {"format": "wrongkey-analysis/1", "name": name, "setting": {"corpus": "toy", "recordings": recordings}}
    (place / f"{name}.json").write_text(json.dumps(about))
    if name == "leaks":
        for blocks, shape in (("samples", (40_000,)), ("tiles", (257, 300))):
            names = ("plain", "shuffling-10", "rom-10", "flipping-10", "rom-128")
            arrays = {one: RANDOM.normal(size=shape).astype(np.float16) / 9 for one in names}
            np.savez_compressed(media / f"a-b-{blocks}.npz", allow_pickle=False, **arrays)
    else:
        kinds = ("plain", "encrypted", "correct key", "one transposition", "incorrect key")
        for scheme, size in (("flipping", 3), ("rom", 10), ("rom", 3)):
            pictures = {kind: levels() for kind in kinds}
            np.savez_compressed(media / f"a-b-{scheme}-{size}-decryptions.npz", allow_pickle=False, **pictures)
            for method in ("pghi", "griffin-lim"):
                base = media / f"a-b-{scheme}-{size}-encrypted-{method}"
                shown = levels()
                np.savez_compressed(base.with_suffix(".npz"), allow_pickle=False, given=shown, reconstructed=shown)
                soundfile.write(base.with_suffix(".wav"), RANDOM.normal(size=25_000) / 9, 16_000)
        soundfile.write(media / "a-b-original.wav", RANDOM.normal(size=25_000) / 9, 16_000)
    return next(one for one in find_analyses([folder]))


def test_figures_3_to_8_have_axes_units_captions_and_words(tmp_path: Path) -> None:
    both = [analysed(tmp_path / "a", "leaks"), analysed(tmp_path / "b", "phase")]
    found = {one.name: one for one in paper_figures(both)}
    assert list(found) == ["fig3", "fig4", "fig5", "fig6", "fig7", "fig8"]
    for one in found.values():
        assert f"Fig. {one.name[3:]})" in one.caption and "a-b" in one.caption and len(one.alt) > 60
        labels = {axes.get_xlabel() for axes in one.figure.axes} | {axes.get_ylabel() for axes in one.figure.axes}
        assert {"time (s)", "frequency (kHz)", "level (dB)"} <= labels
    titles = [axes.get_title() for axes in found["fig4"].figure.axes if axes.get_title()]
    assert titles == ["plain", "ROM\nM = 10", "Flipping\nM = 10", "ROM\nM = 128"]
    assert "Shuffling, M = 10: " in found["fig3"].alt and "ROM at M = 3" in found["fig7"].caption
    assert "PGHI: " in found["fig8"].alt and "Griffin-Lim: " in found["fig8"].alt


def test_speech_of_real_people_is_drawn_only_where_asked(tmp_path: Path) -> None:
    for recordings in ("real", "unknown"):
        analysis = analysed(tmp_path / recordings, "leaks", recordings)
        assert paper_figures([analysis]) == []
        assert [one.name for one in paper_figures([analysis], real=True)] == ["fig3", "fig4", "fig5", "fig6"]


def test_figures_of_two_runs_have_names_of_their_own(tmp_path: Path) -> None:
    two = [analysed(tmp_path / name, "phase") for name in "ab"]
    assert [one.name for one in paper_figures(two)] == ["fig7", "fig7-2", "fig8", "fig8-2"]


@pytest.mark.parametrize("style", ["screen", "ieee"])
def test_figure_7_is_a_small_file(tmp_path: Path, style: str) -> None:
    analysis = analysed(tmp_path / "a", "phase")
    with styled(style):
        figure = paper_figures([analysis])[0].figure
    assert save_figure(figure, tmp_path, "fig7").svg.stat().st_size < 200_000


@pytest.mark.parametrize(
    "arrays",
    [
        {"plain": np.zeros(9)},
        {"rom-3": np.zeros(9)},
        {"plain": np.zeros((3, 3)), "rom-3": np.zeros(9)},
        {"plain": np.full(9, np.nan), "rom-3": np.zeros(9)},
    ],
)
def test_broken_media_are_one_sentence(tmp_path: Path, arrays: dict[str, Any]) -> None:
    analysis = analysed(tmp_path / "a", "leaks")
    path = tmp_path / "a/media/leaks/a-b-samples.npz"
    np.savez(path, allow_pickle=False, **arrays)
    with pytest.raises(BadInput, match=r"samples\.npz is broken .*: run its analysis again"):
        paper_figures([analysis])
    path.write_bytes(b"nothing")
    with pytest.raises(BadInput, match=r"samples\.npz is broken"):
        paper_figures([analysis])


def compressed_damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    name, extra = (int.from_bytes(content[at : at + 2], "little") for at in (26, 28))
    content[30 + name + extra] = 7  # a kind of block that deflate does not have
    path.write_bytes(content)


def unknown_compression(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for header, offset in ((b"PK\x01\x02", 10), (b"PK\x03\x04", 8)):
        content[content.index(header) + offset] = 77
    path.write_bytes(content)


def encrypted(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for header, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        content[content.index(header) + offset] |= 1
    path.write_bytes(content)


def unbalanced_header(path: Path) -> None:
    header = io.BytesIO()
    np.save(header, np.zeros((3, 3)))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("plain.npy", header.getvalue().replace(b"(3, 3)", b"(3, 3 "))


def endless_shape(path: Path) -> None:
    header = io.BytesIO()
    np.save(header, np.zeros((3, 3)))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "plain.npy", header.getvalue().replace(b"(3, 3), }" + b" " * 25, b"(3, 3" + b"0" * 25 + b"), }")
        )


DAMAGES = [compressed_damage, unknown_compression, encrypted, unbalanced_header, endless_shape]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(
    ("name", "file"),
    [("leaks", "a-b-samples.npz"), ("phase", "a-b-rom-3-decryptions.npz"), ("phase", "a-b-rom-3-encrypted-pghi.npz")],
)
def test_damaged_archives_are_one_sentence(
    tmp_path: Path, damage: Callable[[Path], None], name: str, file: str
) -> None:
    """zlib.error, NotImplementedError, RuntimeError, TokenError, OverflowError."""
    analysis = analysed(tmp_path / "a", name)
    damage(tmp_path / "a/media" / name / file)
    with pytest.raises(BadInput, match=rf"{file} is broken .*: run its analysis again"):
        paper_figures([analysis])


def test_a_picture_that_lacks_reconstructed_speech_is_one_sentence(tmp_path: Path) -> None:
    analysis = analysed(tmp_path / "a", "phase")
    np.savez(tmp_path / "a/media/phase/a-b-rom-3-encrypted-pghi.npz", allow_pickle=False, given=levels())
    with pytest.raises(BadInput, match=r"pghi\.npz is broken \(it lacks reconstructed speech\)"):
        paper_figures([analysis])


def test_both_figures_of_phase_are_on_the_page(tmp_path: Path) -> None:
    found = Gathered([], [], [], [], [analysed(tmp_path / "a", "phase")])
    drawn = [one for one in figures(found, real=False) if one.name in ("fig7", "fig8")]
    assert [(one.name, one.anchor) for one in drawn] == [("fig7", "analysis-phase"), ("fig8", "analysis-phase")]


def test_a_picture_is_made_smaller_by_means() -> None:
    picture = np.arange(300.0)[:, None] + np.zeros((1, 100))
    small = smaller(picture)
    assert small.shape == (100, 100) and max(small.shape) <= PIXELS
    np.testing.assert_allclose(small[:, 0], np.arange(300).reshape(100, 3).mean(1))
