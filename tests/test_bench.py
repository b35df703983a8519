"""`make bench` in short: every benchmark runs, its tables come into the page, and what is there is skipped."""

import argparse
import json
import re
import sys
from pathlib import Path

import pytest

from benchmarks.bench import ALL, MISSING, PAGE, _arguments, main, write_place

PLACES = list(dict.fromkeys(one.place for one in ALL))
BEFORE, AFTER = (
    "# A page\n\nWith a sentence.\n\n",
    "\n## Another part\n\n<!-- bench: other -->\nkept\n<!-- bench end -->\n",
)


def page_with(folder: Path, place: str) -> Path:
    page = folder / "page.md"
    page.write_text(f"{BEFORE}<!-- bench: {place} -->\n\n{MISSING}\n\n<!-- bench end -->{AFTER}", encoding="utf-8")
    return page


def bench(place: str, page: Path) -> None:
    """Measure in short; raises SystemExit where it fails."""
    asked = ["bench", "--short", "--only", place, "--out", str(page.parent / "out"), "--page", str(page)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", asked)
        main()


def between(page: Path) -> str:
    """What stands between the first markers; all around it must be as it was."""
    text = page.read_text(encoding="utf-8")
    assert text.startswith(BEFORE) and text.endswith(AFTER)
    return text.removeprefix(BEFORE).removesuffix(AFTER)


def test_the_page_has_a_place_for_every_measurement_and_no_other() -> None:
    assert re.findall(r"<!-- bench: (\S+) -->", PAGE.read_text(encoding="utf-8")) == PLACES


@pytest.mark.parametrize("place", PLACES)
def test_a_benchmark_runs_and_its_table_comes_into_the_page(place: str, tmp_path: Path) -> None:
    page = page_with(tmp_path, place)
    bench(place, page)
    text = between(page)
    assert MISSING not in text and str(tmp_path) not in text
    results = [json.loads(file.read_text(encoding="utf-8")) for file in (tmp_path / "out").iterdir()]
    assert len(results) == sum(one.place == place for one in ALL)
    for found in results:
        for table in found["tables"]:
            assert table["rows"] and all(f"| {' | '.join(row)} |" in text for row in table["rows"])
            assert all(len(row) == len(table["columns"]) for row in table["rows"])
        assert found["measured"]["date"] in text and found["made_by"]["processor"] in text


def test_what_is_there_is_skipped_and_what_other_code_made_is_measured_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = page_with(tmp_path, "draw")
    bench("draw", page)
    capsys.readouterr()
    (file,) = (tmp_path / "out").iterdir()
    first, shown = file.read_bytes(), page.read_text(encoding="utf-8")
    bench("draw", page)
    assert capsys.readouterr().out == "draw: there\n"
    assert (file.read_bytes(), page.read_text(encoding="utf-8")) == (first, shown)

    found = json.loads(first)
    found["made_by"]["code"] = "of yesterday"
    found["tables"][0]["rows"][0][0] = "stale"
    file.write_text(json.dumps(found), encoding="utf-8")
    bench("draw", page)
    assert "draw: python -m benchmarks.draw" in capsys.readouterr().out
    assert "stale" not in between(page) and json.loads(file.read_bytes())["made_by"]["code"] != "of yesterday"


def test_whisper_is_measured_again_where_it_was_before(tmp_path: Path) -> None:
    recognisers = next(one for one in ALL if one.name == "recognisers")
    options = argparse.Namespace(whisper=None, short=False, out=tmp_path)
    assert _arguments(recognisers, options) == ["asr-words"]
    for folder, expected in ((tmp_path, ["asr-words", f"whisper:{tmp_path}"]), (tmp_path / "gone", ["asr-words"])):
        kept = {"made_by": {"code": "of yesterday", "arguments": ["asr-words", f"whisper:{folder}"]}, "tables": []}
        (tmp_path / recognisers.file).write_text(json.dumps(kept), encoding="utf-8")
        assert _arguments(recognisers, options) == expected


def test_what_fails_leaves_its_table_as_it_was(tmp_path: Path) -> None:
    page = page_with(tmp_path, "draw")
    before = page.read_bytes()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit, match="Failed: draw"):
        patch.setattr("benchmarks.bench.sys.executable", "/bin/false")
        bench("draw", page)
    assert page.read_bytes() == before


def test_a_page_without_the_markers_is_refused(tmp_path: Path) -> None:
    page = page_with(tmp_path, "draw")
    before = page.read_bytes()
    with pytest.raises(SystemExit, match="0 places for sweep"):
        write_place(page, "sweep", "numbers")
    assert page.read_bytes() == before
