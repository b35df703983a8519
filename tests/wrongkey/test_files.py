"""Files are written whole or not at all, and no other process can interfere."""

import os
import stat
from pathlib import Path

import pytest

from wrongkey.errors import BadInput
from wrongkey.files import atomic_write, explained_errors, file_name, user_path
from wrongkey.printable import printable


@pytest.mark.parametrize(("mode", "expected"), [(None, 0o640), (0o600, 0o600), (0o644, 0o644)])
def test_modes(tmp_path: Path, mode: int | None, expected: int) -> None:
    before = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "file", mode=mode) as file:
            file.write(b"content")
            during = stat.S_IMODE(os.stat(file.fileno()).st_mode)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == expected
    assert during == (0o640 if mode is None else 0o600)  # never open to more on the way
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_names_of_temporary_files_are_unpredictable(tmp_path: Path) -> None:
    names = set()
    for _ in range(3):
        with atomic_write(tmp_path / "file"):
            names |= set(tmp_path.glob(".*.part"))
    assert len(names) == 3


@pytest.mark.parametrize("error", [OSError(28, "No space left"), KeyboardInterrupt(), ValueError("of the library")])
@pytest.mark.parametrize("content", [None, "old"])
def test_an_error_leaves_what_was_there(tmp_path: Path, error: BaseException, content: str | None) -> None:
    path = tmp_path / "file"
    if content:
        path.write_text(content)
    with pytest.raises(type(error)), atomic_write(path) as file:
        file.write(b"half")
        raise error
    assert [file.read_text() for file in tmp_path.iterdir()] == ([content] if content else [])


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_fails_at_the_end_leaves_what_was_there(
    tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "file"
    path.write_text("old")
    monkeypatch.setattr(f"wrongkey.files.os.{call}", full)
    with (
        pytest.raises(BadInput, match=r"file cannot be written \(No space left on device\): free space\.$"),
        explained_errors(path, "free space"),
        atomic_write(path) as file,
    ):
        file.write(b"new")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]


def test_an_existing_file_is_overwritten_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with atomic_write(path, overwrite=False) as file:
        file.write(b"one")
    with pytest.raises(FileExistsError), atomic_write(path, overwrite=False) as file:
        file.write(b"two")
    assert path.read_text() == "one" and len(list(tmp_path.iterdir())) == 1


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with atomic_write(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "target").read_text() == "kept" and not (tmp_path / "link").is_symlink()


def test_only_errors_of_the_disk_and_those_named_become_bad_input(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), explained_errors(tmp_path, "wait"):
        raise RuntimeError("of a library")
    with (
        pytest.raises(BadInput, match=r"cannot be read \(of a library\): wait\.$"),
        explained_errors(tmp_path, "wait", action="read", also=(RuntimeError,)),
    ):
        raise RuntimeError("of a library")


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
def test_any_name_becomes_the_name_of_one_file(name: str, file: str) -> None:
    assert file_name(name) == file
