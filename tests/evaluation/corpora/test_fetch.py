"""Downloads from a real HTTP server on loopback, which can break off, refuse ranges, and change its files."""

import errno
import gzip
import hashlib
import io
import lzma
import random
import re
import socket
import tarfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import soundfile

from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import fetch as module
from wrongkey.evaluation.corpora import open_corpus
from wrongkey.evaluation.corpora.fetch import CORPORA, Source, fetch

NAME = "librispeech-test-clean"
ARCHIVE = "test-clean.tar.gz"


@dataclass
class Files:
    """What the server holds and how it behaves."""

    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    break_after: list[int] = field(default_factory=list)  # bytes of body, one entry per answer
    length: bool = True
    status: int | None = None
    asked: list[str | None] = field(default_factory=list)  # Range header of every request
    sent: int = 0
    url: str = ""

    def tag(self, name: str) -> str:
        return f'"{hashlib.md5(self.files[name]).hexdigest()}"'


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Files]:
    held = Files()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name, wanted = self.path.rsplit("/", 1)[-1], self.headers.get("Range")
            held.asked.append(wanted)
            if held.status or name not in held.files:
                return self.send_error(held.status or 404)
            body = held.files[name]
            same = self.headers.get("If-Range") in (None, held.tag(name))
            if wanted and held.ranges and same:
                first = int(wanted.removeprefix("bytes=").removesuffix("-"))
                if first >= len(body):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(body)}")
                    self.send_header("Content-Length", "0")
                    return self.end_headers()
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
                body = body[first:]
            else:
                self.send_response(200)
            self.send_header("ETag", held.tag(name))
            if held.length:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if held.break_after:
                body = body[: held.break_after.pop(0)]
            held.sent += len(body)
            with suppress(ConnectionError):
                self.wfile.write(body)  # HTTP/1.0: the connection closes after it, complete or not

        def log_message(self, format: str, *args: object) -> None:
            pass

    monkeypatch.setattr(module, "PAUSE", 0.0)
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    held.url = f"http://127.0.0.1:{httpd.server_port}/some/mirror"
    yield held
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def tarball(**members: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def librispeech() -> bytes:
    """A little LibriSpeech of noise, which gzip cannot shorten: large enough to break in the middle."""
    members = {}
    for speaker in ("61", "121"):
        sound = io.BytesIO()
        noise = np.random.default_rng(int(speaker)).uniform(-0.5, 0.5, 48000)
        soundfile.write(sound, noise, 16000, format="FLAC")
        home = f"LibriSpeech/test-clean/{speaker}/1"
        members[f"{home}/{speaker}-1-0000.flac"] = sound.getvalue()
        members[f"{home}/{speaker}-1.trans.txt"] = f"{speaker}-1-0000 NOISE\n".encode()
    return tarball(**members)


@pytest.fixture
def published(server: Files, monkeypatch: pytest.MonkeyPatch) -> Files:
    """The server holds an archive, and the table the checksum of that archive."""
    server.files[ARCHIVE] = librispeech()
    checksum = "md5:" + hashlib.md5(server.files[ARCHIVE]).hexdigest()
    monkeypatch.setitem(CORPORA, NAME, replace(CORPORA[NAME], checksum=checksum))
    return server


def unpublished(monkeypatch: pytest.MonkeyPatch, archive: str) -> None:
    monkeypatch.setitem(CORPORA, "own", Source(f"https://example.org/{archive}", "CC0", note="no checksum"))


def test_fetched_corpus_opens(published: Files, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    home = fetch(NAME, tmp_path, lambda done, total: seen.append((done, total)), base_url=published.url)
    size = len(published.files[ARCHIVE])
    assert home == tmp_path / NAME and seen[0] == (0, size) and seen[-1] == (size, size)
    opens = CORPORA[NAME].opens
    assert opens is not None
    corpus = open_corpus(opens.format(home))
    assert [u.id for u in corpus.utterances] == ["61-1-0000", "121-1-0000"]
    assert [path.name for path in tmp_path.iterdir()] == [NAME]  # neither archive nor part is left

    fetch(NAME, tmp_path, base_url=published.url)
    assert len(published.asked) == 1  # done is done


def test_an_archives_own_folder_is_not_doubled(server: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "speechocean762"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for part in ("test", "train"):
            for file, line in (("wav.scp", f"u1 WAVE/{part}.wav\n"), ("utt2spk", "u1 s1\n")):
                entry = tarfile.TarInfo(f"{name}/{part}/{file}")
                entry.size = len(line)
                tar.addfile(entry, io.BytesIO(line.encode()))
    server.files[CORPORA[name].archive] = packed.getvalue()
    home = fetch(name, tmp_path, base_url=server.url)
    assert sorted(path.name for path in home.iterdir()) == [module.MARKER, "test", "train"]
    assert CORPORA[name].opens == "kaldi:{}/test"
    assert not list(tmp_path.glob("*.unpacking"))

    older = tmp_path / "older" / name  # as it was unpacked before
    (older / name).parent.mkdir(parents=True)
    home.rename(older / name)
    (older / name / module.MARKER).rename(older / module.MARKER)
    assert fetch(name, tmp_path / "older", base_url=server.url) == older
    assert sorted(path.name for path in older.iterdir()) == [module.MARKER, "test", "train"]
    assert len(server.asked) == 1


def test_resumes_within_one_call(published: Files, tmp_path: Path) -> None:
    published.break_after = [50_000, 30_000]
    fetch(NAME, tmp_path, base_url=published.url)
    assert published.asked == [None, "bytes=50000-", "bytes=80000-"]
    assert published.sent == len(published.files[ARCHIVE])  # no byte came twice


def test_resumes_after_interruption(published: Files, tmp_path: Path) -> None:
    class Interrupted(BaseException):
        pass

    def stop(done: int, total: int | None) -> None:
        if done:
            raise Interrupted

    published.break_after = [50_000]
    with pytest.raises(Interrupted):
        fetch(NAME, tmp_path, stop, base_url=published.url)
    assert (tmp_path / f"{ARCHIVE}.part").stat().st_size == 50_000
    home = fetch(NAME, tmp_path, base_url=published.url)
    assert published.asked == [None, "bytes=50000-"] and home.is_dir()


def test_gives_up_with_a_sentence_and_keeps_the_part(published: Files, tmp_path: Path) -> None:
    published.break_after = [50_000] + [0] * module.ATTEMPTS
    with pytest.raises(BadInput, match=r"broke off after 50000 bytes .* same command again"):
        fetch(NAME, tmp_path, base_url=published.url)
    assert len(published.asked) == 1 + module.ATTEMPTS
    assert fetch(NAME, tmp_path, base_url=published.url).is_dir()
    assert published.asked[-1] == "bytes=50000-"


def test_server_without_ranges_starts_over(published: Files, tmp_path: Path) -> None:
    published.ranges, published.break_after = False, [50_000]
    assert fetch(NAME, tmp_path, base_url=published.url).is_dir()
    assert published.sent == 50_000 + len(published.files[ARCHIVE])


def test_server_without_ranges_that_always_breaks_is_given_up(published: Files, tmp_path: Path) -> None:
    published.ranges, published.break_after = False, [50_000, 10_000, 20_000, 30_000, 40_000, 45_000, 46_000]
    with pytest.raises(BadInput, match="broke off after 50000 bytes"):
        fetch(NAME, tmp_path, base_url=published.url)


def test_changed_file_starts_over(published: Files, tmp_path: Path) -> None:
    """A part of yesterday's file is not continued with today's."""
    right = published.files[ARCHIVE]
    published.files[ARCHIVE] = bytes(len(right))
    published.break_after = [50_000] + [0] * module.ATTEMPTS
    with pytest.raises(BadInput, match="broke off"):
        fetch(NAME, tmp_path, base_url=published.url)
    published.files[ARCHIVE] = right
    assert fetch(NAME, tmp_path, base_url=published.url).is_dir()
    assert published.asked[-1] == "bytes=50000-"


@pytest.mark.parametrize("kept", [b"\xff\xfe", b"a tag\r\nof two lines", b""])
def test_a_part_whose_version_is_damaged_starts_over(published: Files, tmp_path: Path, kept: bytes) -> None:
    published.break_after = [50_000] + [0] * module.ATTEMPTS
    with pytest.raises(BadInput, match="broke off"):
        fetch(NAME, tmp_path, base_url=published.url)
    (tmp_path / f"{ARCHIVE}.part.version").write_bytes(kept)
    assert fetch(NAME, tmp_path, base_url=published.url).is_dir()
    assert published.asked[-1] is None


@pytest.mark.parametrize("surplus", [0, 100])
def test_part_that_needs_no_more(published: Files, tmp_path: Path, surplus: int) -> None:
    """Complete: nothing is sent again. Longer than the file: it is another file, and starts over."""
    (tmp_path / f"{ARCHIVE}.part").write_bytes(published.files[ARCHIVE] + bytes(surplus))
    assert fetch(NAME, tmp_path, base_url=published.url).is_dir()
    assert published.sent == (len(published.files[ARCHIVE]) if surplus else 0)


def test_without_content_length(published: Files, tmp_path: Path) -> None:
    published.length = False
    seen: list[int | None] = []
    fetch(NAME, tmp_path, lambda done, total: seen.append(total), base_url=published.url)
    assert set(seen) == {None}


def test_wrong_checksum_is_refused_before_unpacking(published: Files, tmp_path: Path) -> None:
    right = published.files[ARCHIVE]
    published.files[ARCHIVE] = tarball(trojan=b"other content")
    with pytest.raises(BadInput, match=rf"{ARCHIVE} has checksum md5:.* not md5:.*{ARCHIVE}\.wrong"):
        fetch(NAME, tmp_path, base_url=published.url)
    assert [path.name for path in tmp_path.iterdir()] == [f"{ARCHIVE}.wrong"]
    published.files[ARCHIVE] = right
    assert fetch(NAME, tmp_path, base_url=published.url).is_dir()


def test_archive_already_there_is_verified_not_downloaded(published: Files, tmp_path: Path) -> None:
    (tmp_path / ARCHIVE).write_bytes(published.files[ARCHIVE])
    assert fetch(NAME, tmp_path, base_url=published.url).is_dir() and not published.asked
    other = tmp_path / "other"
    other.mkdir()
    (other / ARCHIVE).write_bytes(b"not it")
    with pytest.raises(BadInput, match="has checksum"):
        fetch(NAME, other, base_url=published.url)


def test_unpublished_checksum_is_kept_and_verified(
    server: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpublished(monkeypatch, "own.tar.gz")
    server.files["own.tar.gz"] = tarball(a=b"first")
    said: list[str] = []
    home = fetch("own", tmp_path, base_url=server.url, say=said.append)
    digest = hashlib.sha256(server.files["own.tar.gz"]).hexdigest()
    assert (tmp_path / "own.tar.gz.sha256").read_text() == f"{digest}  own.tar.gz\n"
    assert len(said) == 1 and digest in said[0]

    home.rename(tmp_path / "elsewhere")
    assert (fetch("own", tmp_path, base_url=server.url) / "a").read_bytes() == b"first"
    home.rename(tmp_path / "elsewhere again")
    server.files["own.tar.gz"] = tarball(a=b"second")
    with pytest.raises(BadInput, match=r"delete .*own\.tar\.gz\.sha256 to accept"):
        fetch("own", tmp_path, base_url=server.url)


def zipped(**members: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def unknown_compression() -> bytes:
    content = bytearray(zipped(a=b"x" * 99))
    entry = content.index(b"PK\x01\x02")
    content[entry + 10] = content[8] = 77  # the methods in the list of contents, and before the member
    return bytes(content)


def encrypted() -> bytes:
    content = bytearray(zipped(a=b"x" * 99))
    content[content.index(b"PK\x01\x02") + 8] |= 1
    content[6] |= 1
    return bytes(content)


def flipped_lzma() -> bytes:
    """A tar.xz whose first member can be read, and whose second cannot."""
    content = bytearray(lzma.compress(plain_tar()))
    content[len(content) // 2] ^= 0xFF
    return bytes(content)


def plain_tar() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name in ("one", "two"):
            entry = tarfile.TarInfo(name)
            entry.size = 300_000
            tar.addfile(entry, io.BytesIO(random.Random(0).randbytes(300_000)))
    return packed.getvalue()


def linked() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        entry = tarfile.TarInfo("link")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(entry)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (tarball(**{"../outside": b"x"}), "unsafe"),
        (linked(), "unsafe"),
        (zipped(**{"../outside": b"x"}), "unsafe"),
        (zipped(**{"/outside": b"x"}), "unsafe"),
        (zipped(**{"a/../../outside": b"x"}), "unsafe"),
        (b"no archive at all", "damaged"),
        (librispeech()[:50_000], "damaged"),
        (gzip.compress(gzip.decompress(librispeech())[:50_000]) + b"no gzip", "damaged"),
        (b"", "damaged"),
        (unknown_compression(), "damaged"),  # NotImplementedError
        (encrypted(), "damaged"),  # RuntimeError
        (flipped_lzma(), "damaged"),  # LZMAError
    ],
)
def test_unsafe_and_damaged_archives(
    server: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, said: str
) -> None:
    unpublished(monkeypatch, "own.archive")
    server.files["own.archive"] = content
    folder = tmp_path / "in"
    with pytest.raises(BadInput, match=rf"is {said} \("):  # the folder's name holds the word, too
        fetch("own", folder, base_url=server.url, say=lambda text: None)
    assert not (folder / "own").exists() and not (tmp_path / "outside").exists()
    assert not Path("/outside").exists() and not list(folder.glob("*.unpacking"))


def test_zip_archive(server: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpublished(monkeypatch, "own.zip")
    server.files["own.zip"] = zipped(**{"ESC-50-master/meta/esc50.csv": b"filename,fold\n"})
    home = fetch("own", tmp_path, base_url=server.url, say=lambda text: None)
    assert (home / "ESC-50-master/meta/esc50.csv").read_bytes() == b"filename,fold\n"


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_server_errors(published: Files, tmp_path: Path, status: int) -> None:
    published.status = status
    with pytest.raises(BadInput, match=f"{ARCHIVE} answered {status}"):
        fetch(NAME, tmp_path, base_url=published.url)


def test_nobody_answers(tmp_path: Path) -> None:
    """The real pauses and time limits: without a network, one sentence comes soon."""
    with socket.socket() as held:  # bound and not listening: refuses connections
        held.bind(("127.0.0.1", 0))
        begun = time.monotonic()
        with pytest.raises(BadInput, match=r"http://127\.0\.0\.1.* cannot be reached .*refused.* try again"):
            fetch(NAME, tmp_path, base_url=f"http://127.0.0.1:{held.getsockname()[1]}")
        assert time.monotonic() - begun < module.PAUSE


def test_a_name_that_does_not_resolve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    begun = time.monotonic()
    with pytest.raises(BadInput, match=r"test-clean\.tar\.gz cannot be reached .*Name or service not known"):
        fetch(NAME, tmp_path)
    assert time.monotonic() - begun < module.PAUSE


def test_a_network_that_goes_away_on_the_way_is_waited_for(
    published: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that cannot be made is final only at the beginning."""
    published.break_after = [50_000]
    slept: list[float] = []

    connect = socket.create_connection

    def connected(address: tuple[str, int], *rest: object, **named: object) -> socket.socket:
        if len(published.asked) == 1 and len(slept) < 3:
            raise OSError(errno.ENETUNREACH, "Network is unreachable")
        return connect(address, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.setattr(socket, "create_connection", connected)
    assert fetch(NAME, tmp_path, base_url=published.url).is_dir()
    assert len(slept) == 3 and published.asked == [None, "bytes=50000-"]


@pytest.mark.parametrize("folder", ["/proc/nowhere", "file/in"])
def test_a_folder_that_cannot_be_written(published: Files, tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match=rf"{folder} cannot be written \(.*another folder"):
        fetch(NAME, tmp_path / folder, base_url=published.url)
    assert not published.asked


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_while_downloading_is_no_broken_line(published: Files, tmp_path: Path) -> None:
    (tmp_path / f"{ARCHIVE}.part").symlink_to("/dev/full")
    with pytest.raises(BadInput, match=rf"{tmp_path} cannot be written \(No space left on device\): free space"):
        fetch(NAME, tmp_path, base_url=published.url)
    assert len(published.asked) == 1


def test_a_full_disk_while_unpacking_keeps_the_archive(
    published: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(tar: tarfile.TarFile, folder: Path, **_: object) -> None:
        folder.mkdir()
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(tarfile.TarFile, "extractall", full)
        with pytest.raises(BadInput, match=rf"{tmp_path} cannot be written \(No space left on device\): free space"):
            fetch(NAME, tmp_path, base_url=published.url)
    assert [path.name for path in tmp_path.iterdir()] == [ARCHIVE]
    assert fetch(NAME, tmp_path, base_url=published.url).is_dir() and len(published.asked) == 1


def test_what_cannot_be_fetched(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"account.*https://mm\.kaist\.ac\.kr"):
        fetch("voxceleb1", tmp_path)
    with pytest.raises(BadInput, match=r"https://github\.com/KULeuvenADVISE/SINS_database"):
        fetch("sins", tmp_path)
    with pytest.raises(BadInput, match=r"choose one of .*speechocean762"):
        fetch("timit", tmp_path)
    with pytest.raises(BadInput, match="not an http"):
        fetch(NAME, tmp_path, base_url=tmp_path.as_uri())
    (tmp_path / NAME).mkdir()
    with pytest.raises(BadInput, match="was not fetched by wrongkey"):
        fetch(NAME, tmp_path)


@pytest.mark.parametrize("name", CORPORA)
def test_table(name: str) -> None:
    source = CORPORA[name]
    assert source.licence and source.note
    if source.url is None:
        return
    assert source.url.startswith("https://") and source.archive.endswith((".zip", ".tar.gz"))
    if source.checksum is None:
        assert "no checksum" in source.note
    else:
        algorithm, _, digest = source.checksum.partition(":")
        assert re.fullmatch(r"[0-9a-f]+", digest)
        assert len(digest) == 2 * hashlib.new(algorithm).digest_size and source.size
