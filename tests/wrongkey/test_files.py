"""Files are written whole or not at all, and nobody can step in between."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

import pytest

from wrongkey.files import file_name, user_path, write_atomically
from wrongkey.printable import printable


@pytest.mark.parametrize(("mode", "expected"), [(None, 0o640), (0o600, 0o600), (0o644, 0o644)])
def test_modes(tmp_path: Path, mode: int | None, expected: int) -> None:
    modes = []

    def write(file: BinaryIO) -> None:
        file.write(b"content")
        modes.append(stat.S_IMODE(os.stat(file.fileno()).st_mode))

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
        write_atomically(tmp_path / "file", lambda file: names.extend(tmp_path.glob(".*.part")))
    assert len(set(names)) == 3


@pytest.mark.parametrize("error", [OSError(28, "No space left"), KeyboardInterrupt(), ValueError("of the library")])
def test_an_error_leaves_what_was_there(tmp_path: Path, error: BaseException) -> None:
    def fail(file: BinaryIO) -> None:
        file.write(b"half")
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
    write_atomically(path, lambda file: file.write(b"one"), overwrite=False)
    with pytest.raises(FileExistsError):
        write_atomically(path, lambda file: file.write(b"two"), overwrite=False)
    assert path.read_text() == "one" and len(list(tmp_path.iterdir())) == 1


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    write_atomically(tmp_path / "link", lambda file: file.write(b"new"))
    assert (tmp_path / "target").read_text() == "kept" and not (tmp_path / "link").is_symlink()


def test_paths_as_users_write_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/a.npz") == tmp_path / "a.npz"
    assert user_path("~nobody-of-this-name/a.npz") == Path("~nobody-of-this-name/a.npz")


def test_names_in_characters_that_print() -> None:
    assert printable(Path("René 日本.wav")) == "René 日本.wav"
    assert printable(os.fsdecode(b"Ren\xe9\x1b[31m\n")) == r"Ren\xe9\x1b[31m\n"


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("af_alloy-sentence1", "af_alloy-sentence1"),
        ("ann/1", "ann-1"),
        ("../../.bashrc", "bashrc"),
        ("/etc/passwd", "etc-passwd"),
        ("..", "unnamed"),
        ("a b\0c\n", "a-b-c"),
        ("宋朝", "宋朝"),
        ("x" * 300, "x" * 100),
    ],
)
def test_somebodys_name_is_the_name_of_one_file(name: str, file: str) -> None:
    assert file_name(name) == file
