"""Secret keys and their files."""

import os
import stat
import tracemalloc
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from wrongkey.errors import BadInput
from wrongkey.keys import key_file
from wrongkey.keys.draw import correct_key, draw_keys
from wrongkey.keys.key import SecretKey

ENDINGS = (".npz", ".safetensors")


@pytest.fixture
def key() -> SecretKey:
    return SecretKey.draw("rom", 3, 2)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_key_file_is_private_and_gives_the_key_again(key: SecretKey, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"key{ending}"
    key.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    loaded = SecretKey.load(path)
    assert loaded == key and hash(loaded) == hash(key)
    assert (loaded.scheme, loaded.block_size, loaded.dims) == ("rom", 3, 2)
    assert np.array_equal(loaded.matrix, key.matrix)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_is_private_from_its_first_byte(key, tmp_path, ending, monkeypatch) -> None:
    modes: list[int] = []
    replace = os.replace

    def watch(source, target):
        modes.extend(stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir())
        replace(source, target)

    monkeypatch.setattr("wrongkey.files.os.replace", watch)
    key.save(tmp_path / f"key{ending}")
    assert modes == [0o600, 0o600]


def test_a_file_is_never_overwritten_unasked(key: SecretKey, tmp_path: Path) -> None:
    path = tmp_path / "key.npz"
    key.save(path)
    other = SecretKey.draw("rom", 3, 2)
    with pytest.raises(BadInput, match=r"key\.npz: this file exists: choose another name, or add --overwrite"):
        other.save(path)
    assert SecretKey.load(path) == key
    path.chmod(0o644)
    other.save(path, overwrite=True)
    assert SecretKey.load(path) == other
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_failed_write_leaves_nothing_behind(key: SecretKey, tmp_path: Path, monkeypatch) -> None:
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("wrongkey.files.os.fsync", full)
    with pytest.raises(BadInput, match="No space left"):
        key.save(tmp_path / "key.npz")
    assert not list(tmp_path.iterdir())


def test_paths_that_cannot_be_used_are_named(key: SecretKey, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="nowhere"):
        key.save(tmp_path / "nowhere" / "key.npz")
    for use in (key.save, SecretKey.load):
        with pytest.raises(BadInput, match=r"key\.pkl: a key file ends in"):
            use(tmp_path / "key.pkl")
    with pytest.raises(BadInput, match="no such key file: check the path"):
        SecretKey.load(tmp_path / "missing.npz")


@pytest.mark.parametrize("ending", ENDINGS)
def test_truncated_and_foreign_files_are_refused(key: SecretKey, tmp_path: Path, ending: str) -> None:
    whole = tmp_path / f"whole{ending}"
    key.save(whole)
    content = whole.read_bytes()
    path = tmp_path / f"part{ending}"
    for length in [0, 1, 8, 100, len(content) // 2, len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(BadInput, match=f"part{ending}"):
            SecretKey.load(path)
    for foreign in (b"not a key at all" * 50, b"\x93NUMPY" + bytes(100), b"PK\x03\x04" + bytes(100)):
        path.write_bytes(foreign)
        with pytest.raises(BadInput, match=f"part{ending}"):
            SecretKey.load(path)


def test_a_header_that_is_no_python_is_a_sentence(key: SecretKey, tmp_path: Path) -> None:
    """`TokenError` of Python's own tokenizer, with which NumPy reads old headers."""
    path, damaged = tmp_path / "key.npz", tmp_path / "damaged.npz"
    key.save(path)
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(damaged, "w") as archive:
        for name in whole.namelist():
            archive.writestr(name, whole.read(name).replace(b"'shape': ()", b"'shape': ( "))
    with pytest.raises(BadInput, match=r"damaged\.npz: this is not a complete key file"):
        SecretKey.load(damaged)


@pytest.mark.parametrize("ending", ENDINGS)
def test_no_flipped_byte_gives_another_key(key: SecretKey, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"key{ending}"
    key.save(path)
    content = path.read_bytes()
    for position in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[position] ^= 0x10
        path.write_bytes(damaged)
        try:
            assert SecretKey.load(path) == key  # a byte that carries nothing, such as a time stamp of the archive
        except BadInput as error:
            assert path.name in str(error)


def details(key: SecretKey) -> dict[str, Any]:
    return {
        "format": key_file.FORMAT,
        "scheme": key.scheme,
        "block_size": str(key.block_size),
        "dims": str(key.dims),
        "checksum": key.checksum,
    }


@pytest.mark.parametrize("field", ["format", "scheme", "block_size", "dims", "checksum", "matrix"])
def test_tampering_with_any_field_is_found(key: SecretKey, tmp_path: Path, field: str) -> None:
    changed = details(key) | {field: {"block_size": "9", "dims": "1"}.get(field, "other")}
    matrix = key.matrix.T if field == "matrix" else key.matrix
    changed.pop("matrix", None)
    np.savez(tmp_path / "key.npz", matrix=matrix, **changed)
    save_file({"matrix": matrix.copy()}, tmp_path / "key.safetensors", changed)
    for ending in ENDINGS:
        with pytest.raises(BadInput, match=f"key{ending}"):
            SecretKey.load(tmp_path / f"key{ending}")


def test_pickled_arrays_are_never_loaded(key: SecretKey, tmp_path: Path) -> None:
    np.savez(tmp_path / "key.npz", matrix=np.array([print], dtype=object), **details(key))
    with pytest.raises(BadInput, match=r"key\.npz"):
        SecretKey.load(tmp_path / "key.npz")
    with (tmp_path / "array.npz").open("wb") as file:
        np.save(file, key.matrix)
    with pytest.raises(BadInput, match=r"array\.npz"):
        SecretKey.load(tmp_path / "array.npz")


@pytest.fixture
def little_memory():
    """Fails where more than 200 MB are taken: what numpy and bytes hold, as tracemalloc counts it."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6


def archive(path: Path, key: SecretKey, changed: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    """A key file with members of other contents."""
    with zipfile.ZipFile(path, "w", method) as out:
        arrays = details(key) | {"matrix": key.matrix} | {name: "" for name in changed}
        for name, value in arrays.items():
            buffer = BytesIO()
            np.save(buffer, np.asarray(value))
            out.writestr(f"{name}.npy", changed.get(name, buffer.getvalue()))
    return path


def header(shape: tuple[int, ...], dtype: str) -> bytes:
    """The beginning of a .npy file of version 1."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text.encode()


def test_a_compressed_key_file_is_read(key: SecretKey, tmp_path: Path) -> None:
    assert SecretKey.load(archive(tmp_path / "key.npz", key, {})) == key
    np.savez_compressed(tmp_path / "key.npz", matrix=np.asfortranarray(key.matrix), **details(key))
    assert SecretKey.load(tmp_path / "key.npz") == key


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"matrix": header((20_000, 20_000), "<f8") + bytes(10**6)}, "matrix has the shape"),
        ({"matrix": header((9, 9), "<f8") + bytes(300_000_000)}, "another size"),
        ({"matrix": header((9, 9), "<f8")}, "another size"),
        ({"matrix": header((9, 9), "|O") + bytes(648)}, "the type object"),
        ({"matrix": b"\x93NUMPY\2\0" + (2**28).to_bytes(4, "little") + bytes(300_000_000)}, "not a header"),
        ({"scheme": header((), "<U100000000") + bytes(400_000_000)}, "scheme has another size"),
        ({"scheme": header((10**9,), "<U1")}, "scheme has the shape"),
        ({"block_size": header((), "<U6") + "100000".encode("utf-32-le")}, "a matrix of"),
        ({"block_size": header((), "<U4") + "9000".encode("utf-32-le"), "dims": header((), "<U1") + b"1\0\0\0"},
         "a matrix of 648000000 bytes"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("little_memory")
def test_a_bomb_is_refused_before_it_is_unpacked(key: SecretKey, tmp_path: Path, changed, said: str) -> None:
    path = archive(tmp_path / "key.npz", key, changed)
    assert path.stat().st_size < 2_000_000
    with pytest.raises(BadInput, match=rf"key\.npz: this is not a complete key file of wrongkey .*{said}"):
        SecretKey.load(path)


def test_archives_that_wrongkey_does_not_write(key: SecretKey, tmp_path: Path) -> None:
    path = archive(tmp_path / "key.npz", key, {f"member{number}": b"" for number in range(2000)})
    with pytest.raises(BadInput, match="list of contents"):
        SecretKey.load(path)
    with pytest.raises(BadInput, match="a method that numpy does not use"):
        SecretKey.load(archive(path, key, {}, zipfile.ZIP_LZMA))
    encrypted = bytearray(archive(path, key, {}).read_bytes())
    at = encrypted.index(b"PK\1\2")
    encrypted[at + 8] |= 1
    path.write_bytes(encrypted)
    with pytest.raises(BadInput, match="encrypted"):
        SecretKey.load(path)


@pytest.mark.usefixtures("little_memory")
def test_a_safetensors_file_is_no_larger_than_its_header_says(key: SecretKey, tmp_path: Path) -> None:
    path = tmp_path / "key.safetensors"
    save_file({"matrix": np.zeros((9, 100))}, path, details(key))
    with pytest.raises(BadInput, match="of shape"):
        SecretKey.load(path)
    text = b'{"matrix":{"dtype":"F64","shape":[90000,90000],"data_offsets":[0,64800000000]}}'
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(100))
    with pytest.raises(BadInput, match="not a complete key file"):
        SecretKey.load(path)
    path.write_bytes((2**26).to_bytes(8, "little") + b"{" + bytes(2**26))
    with pytest.raises(BadInput, match="a header that is too long"):
        SecretKey.load(path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_links_are_not_followed(key: SecretKey, tmp_path: Path, ending: str) -> None:
    target, link = tmp_path / "target", tmp_path / f"key{ending}"
    target.write_text("kept")
    for place in (target, tmp_path / "nowhere"):
        link.unlink(missing_ok=True)
        link.symlink_to(place)
        with pytest.raises(BadInput, match="exists"):
            key.save(link)
        key.save(link, overwrite=True)
        assert not link.is_symlink() and SecretKey.load(link) == key
    assert target.read_text() == "kept" and not (tmp_path / "nowhere").exists()


def test_names_that_are_no_text_can_be_printed(key: SecretKey, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/Ren\xe9\n.npz"))
    key.save(path)
    assert SecretKey.load(path) == key
    for use in (key.save, SecretKey.load):
        with pytest.raises(BadInput, match=r"Ren\\xe9\\n\.npz") as caught:
            use(path)
        assert str(caught.value).encode()
        path.write_bytes(b"")


def test_matrices_that_are_no_key_are_refused() -> None:
    with pytest.raises(BadInput, match=r"max\|K K\^T - I\| is 3, not 1e-09"):
        SecretKey("rom", 2, 1, 2 * np.eye(2))
    with pytest.raises(BadInput, match="is nan"):
        SecretKey("rom", 2, 1, np.array([[1, np.nan], [0, 1]]))
    for shape in [(2, 3), (3, 3), (4,)]:
        with pytest.raises(BadInput, match="shape"):
            SecretKey("rom", 2, 1, np.ones(shape))
    for block_size, dims in [(0, 1), (2, 3), (-1, 2)]:
        with pytest.raises(BadInput):
            SecretKey("rom", block_size, dims, np.eye(2))
    with pytest.raises(BadInput, match="scheme"):
        SecretKey("", 2, 1, np.eye(2))


def test_a_key_shows_itself_without_its_matrix_and_cannot_be_changed(key: SecretKey) -> None:
    assert repr(key) == "SecretKey(scheme='rom', block_size=3, dims=2)"
    with pytest.raises(ValueError, match="read-only"):
        key.matrix[0, 0] = 1
    source = np.eye(2)
    held = SecretKey("rom", 2, 1, source)
    source[0, 0] = 5
    assert held.matrix[0, 0] == 1


def test_keys_for_use_change_speech_and_fit_into_memory() -> None:
    assert np.array_equal(SecretKey.draw("shuffling", 2).matrix, np.eye(2)[::-1])  # the one other key
    for scheme in ("shuffling", "flipping"):
        with pytest.raises(BadInput, match="N = 1 leaves speech as it is"):
            SecretKey.draw(scheme, 1)
    with pytest.raises(BadInput, match="choose a smaller block"):
        SecretKey.draw("flipping", 100_000)
    with pytest.raises(BadInput, match="choose a smaller block"):
        SecretKey.from_seed("flipping", 1000, 2, seed=0)


def test_seeded_keys_are_those_of_the_streams() -> None:
    assert np.array_equal(SecretKey.from_seed("rom", 2, 2, seed=4).matrix, correct_key("rom", 4, 4))
    third = SecretKey.from_seed("flipping", 9, seed=4, index=3)
    assert np.array_equal(third.matrix, draw_keys("flipping", 9, 4, 3, 1)[0])
    assert third.size == 9 and SecretKey.from_seed("rom", 2, 2, seed=4).size == 4
    assert SecretKey.from_seed("rom", 4, 1, seed=4) != SecretKey.from_seed("rom", 2, 2, seed=4)
