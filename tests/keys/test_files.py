"""Files are written whole or not at all, and nobody can step in between."""

import os
import stat
from pathlib import Path

import pytest

from keys.files import user_path, write_atomically
from keys.printable import printable


@pytest.mark.parametrize(("mode", "expected"), [(None, 0o640), (0o600, 0o600), (0o644, 0o644)])
def test_modes(tmp_path: Path, mode: int | None, expected: int) -> None:
    modes = []

    def write(part: Path) -> None:
        part.write_text("content")
        modes.append(stat.S_IMODE(part.stat().st_mode))

    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "file", write, mode=mode)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == expected
    assert modes == [0o640 if mode is None else 0o600]  # never open to more on the way
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_names_of_temporary_files_cannot_be_foreseen(tmp_path: Path) -> None:
    names = []
    for _ in range(3):
        write_atomically(tmp_path / "file", lambda part: names.append(part))
    assert len(set(names)) == 3 and all(name.parent == tmp_path for name in names)


@pytest.mark.parametrize("error", [OSError(28, "No space left"), KeyboardInterrupt(), ValueError("of the library")])
def test_an_error_leaves_what_was_there(tmp_path: Path, error: BaseException) -> None:
    def fail(part: Path) -> None:
        part.write_text("half")
        raise error

    path = tmp_path / "file"
    for content in (None, "old"):
        if content:
            path.write_text(content)
        with pytest.raises(type(error)):
            write_atomically(path, fail)
        assert [file.read_text() for file in tmp_path.iterdir()] == ([content] if content else [])


def test_what_exists_is_overwritten_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, lambda part: part.write_text("one"), overwrite=False)
    with pytest.raises(FileExistsError):
        write_atomically(path, lambda part: part.write_text("two"), overwrite=False)
    assert path.read_text() == "one" and len(list(tmp_path.iterdir())) == 1


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    write_atomically(tmp_path / "link", lambda part: part.write_text("new"))
    assert (tmp_path / "target").read_text() == "kept" and not (tmp_path / "link").is_symlink()

    def swap(part: Path) -> None:
        part.unlink()
        part.symlink_to(tmp_path / "target")

    with pytest.raises(OSError, match="replaced"):
        write_atomically(tmp_path / "file", swap)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["link", "target"]


def test_paths_as_users_write_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/a.npz") == tmp_path / "a.npz"
    assert user_path("~nobody-of-this-name/a.npz") == Path("~nobody-of-this-name/a.npz")


def test_names_in_characters_that_print() -> None:
    assert printable(Path("René 日本.wav")) == "René 日本.wav"
    assert printable(os.fsdecode(b"Ren\xe9\x1b[31m\n")) == r"Ren\udce9\x1b[31m\n"
