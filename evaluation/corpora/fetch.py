"""Downloads of public corpora: from the official address, resumed after a break, verified, safely unpacked.

An archive arrives in `FOLDER/ARCHIVE.part` and continues there after an interruption (HTTP Range, with
If-Range so that a file that changed meanwhile starts over). Complete, it is renamed, verified, unpacked beside
its place and moved there in one step: `FOLDER/NAME` exists whole or not at all. The one folder of an archive is not
unpacked into another of its own name.

A checksum is in the table only where the publisher states one. For the others, the SHA-256 of the first
download is printed and kept in `FOLDER/ARCHIVE.sha256` (the format of `sha256sum`): later ones must match it.
"""

import hashlib
import http.client
import json
import os
import shutil
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora.text_files import read_lines
from wrongkey.unreadable import UNREADABLE

CHUNK = 1 << 20  # bytes
ATTEMPTS = 5  # connections in a row that may break
PAUSE = 2.0  # seconds before the second attempt; later ones wait longer
TIMEOUT = 15.0  # seconds without a byte
MARKER = ".wrongkey-fetched.json"

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Source:
    """Where a corpus comes from. `size` is bytes; `checksum` reads `md5:…` or `sha256:…`.

    `opens` is the spec for `open_corpus`, `{}` standing for the unpacked folder. Where `url` is `None`, the
    corpus cannot be fetched, and `note` says where it is.
    """

    url: str | None
    licence: str
    checksum: str | None = None
    size: int | None = None
    opens: str | None = None
    note: str = ""

    @property
    def archive(self) -> str:
        """Return the file name of the archive."""
        return (self.url or "").rsplit("/", 1)[-1]


OPENSLR = "https://www.openslr.org/resources"
TENSORFLOW = "https://storage.googleapis.com/download.tensorflow.org/data"
OPENSLR_SUMS = f"checksum from {OPENSLR}/12/md5sum.txt"
TENSORFLOW_SUMS = "checksum as TensorFlow Datasets publishes it (speech_commands/checksums.tsv)"
NO_SUM = "the publisher states no checksum"

CORPORA: dict[str, Source] = {
    "librispeech-test-clean": Source(
        url=f"{OPENSLR}/12/test-clean.tar.gz",
        licence="CC BY 4.0",
        checksum="md5:32fa31d27d2e1cad72775fee3f4849a9",
        size=346_663_984,
        opens="librispeech:{}",
        note=OPENSLR_SUMS,
    ),
    "librispeech-dev-clean": Source(
        url=f"{OPENSLR}/12/dev-clean.tar.gz",
        licence="CC BY 4.0",
        checksum="md5:42e2234ba48799c1f50f24a7926300a1",
        size=337_926_286,
        opens="librispeech:{}",
        note=OPENSLR_SUMS,
    ),
    "speech-commands": Source(
        url=f"{TENSORFLOW}/speech_commands_v0.02.tar.gz",
        licence="CC BY 4.0",
        checksum="sha256:af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
        size=2_428_923_189,
        opens="speechcommands:{}",
        note=TENSORFLOW_SUMS,
    ),
    "speech-commands-test": Source(
        url=f"{TENSORFLOW}/speech_commands_test_set_v0.02.tar.gz",
        licence="CC BY 4.0",
        checksum="sha256:cc2a00c1147c2254e9be3fa0f779d8c17421dc349b86366567a8edfa9acd51df",
        size=112_563_277,
        opens="speechcommands:{}",
        note=TENSORFLOW_SUMS,
    ),
    "esc50": Source(
        url="https://github.com/karolpiczak/ESC-50/archive/master.zip",
        licence="CC BY-NC 3.0 (its ESC-10 clips: CC BY 3.0)",
        opens="esc50:{}",
        note=f"{NO_SUM}: GitHub packs the branch on request, about 600 MB",
    ),
    "speechocean762": Source(
        url=f"{OPENSLR}/101/speechocean762.tar.gz",
        licence="free for commercial and non-commercial use",
        opens="kaldi:{}/test",
        note=NO_SUM,
    ),
    "voxceleb1": Source(
        url=None,
        licence="CC BY 4.0 (metadata); the videos are their owners'",
        opens="voxceleb1:{}",
        note="VoxCeleb needs an account: ask for one at https://mm.kaist.ac.kr/datasets/voxceleb/ (trials: "
        "https://www.robots.ox.ac.uk/~vgg/data/voxceleb/vox1.html), unpack it, and use voxceleb1:DIR",
    ),
    "sins": Source(
        url=None,
        licence="stated in each of its records",
        note="SINS is spread over one Zenodo record per sensor node, to be fetched by hand: its page "
        "https://github.com/KULeuvenADVISE/SINS_database lists them, and holds the labels",
    ),
}


def fetch(
    name: str,
    folder: Path | str,
    progress: Progress | None = None,
    base_url: str | None = None,
    say: Callable[[str], None] = print,
) -> Path:
    """Download corpus `name` into `folder` and return `folder/name`, unpacked; at once where done before.

    `progress(bytes so far, total or None)` is called as bytes arrive; `base_url` names a mirror, whose
    address replaces all but the archive's name. The same call again continues what was interrupted. Raises
    `BadInput` for corpora that cannot be fetched, addresses that do not answer, wrong checksums, archives that
    are unsafe or damaged, and a folder that cannot be written or has no space left.
    """
    if name not in CORPORA:
        raise BadInput(f"There is no corpus {name!r} to fetch: choose one of {', '.join(CORPORA)}.")
    source, folder = CORPORA[name], Path(os.path.expanduser(folder))
    if source.url is None:
        raise BadInput(f"{source.note}.")
    url = f"{base_url.rstrip('/')}/{source.archive}" if base_url else source.url
    if not url.startswith(("http://", "https://")):
        raise BadInput(f"{url} is not an http or https address: give one.")
    try:
        return _fetch(name, url, folder, progress or (lambda done, total: None), say)
    except OSError as error:  # of the disk: those of the network are `_Broken`
        raise BadInput(
            f"{folder} cannot be written ({error.strerror or error}): free space or name another folder, and give the "
            "same command again; what was downloaded stays."
        ) from error


def _fetch(name: str, url: str, folder: Path, progress: Progress, say: Callable[[str], None]) -> Path:
    source, home = CORPORA[name], folder / name
    if (home / MARKER).is_file():
        _raise_folder(home)
        return home
    if home.exists():
        raise BadInput(f"{home} exists and was not fetched by wrongkey: move it, or fetch into another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / source.archive
    if not archive.is_file():
        _download(url, archive, progress)
    checksum = _verify(archive, source, say)
    _unpack(archive, home, {"name": name, "url": url, "checksum": checksum, "licence": source.licence})
    archive.unlink()
    return home


# download


class _Broken(Exception):
    """The connection failed. `reached`: only after the server had been reached."""

    def __init__(self, reason: object, reached: bool = True) -> None:
        super().__init__(reason)
        self.reached = reached


def _download(url: str, archive: Path, progress: Progress) -> None:
    """`url` into `archive`, over as many connections as it takes while they get further than before.

    A server that the first connection does not reach is not tried again: a user without a network is not kept waiting.
    """
    part = archive.with_name(archive.name + ".part")
    furthest, fruitless, reached = _size(part), 0, False
    while True:
        try:
            _continue(url, part, progress)
            break
        except _Broken as broken:
            reached = reached or broken.reached
            if not reached:
                raise BadInput(f"{url} cannot be reached ({broken}): check the connection and try again.") from broken
            fruitless = 0 if _size(part) > furthest else fruitless + 1
            furthest = max(furthest, _size(part))
            if fruitless == ATTEMPTS:
                raise BadInput(
                    f"{url} broke off after {furthest} bytes ({broken}): give the same command again."
                ) from broken
            time.sleep(PAUSE * fruitless)
    _validator(part).unlink(missing_ok=True)
    part.rename(archive)


def _continue(url: str, part: Path, progress: Progress) -> None:
    """One connection: append to `part` what is missing; `_Broken` where it fails or the answer ends early."""
    offset = _size(part)
    request = urllib.request.Request(url, headers={"User-Agent": "wrongkey", "Accept-Encoding": "identity"})
    version = _version(part)
    if offset and version is not None:
        request.add_header("Range", f"bytes={offset}-")
        if version:
            request.add_header("If-Range", version)
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise BadInput(f"{url} answered {error.code} {error.reason}: try later, or name a mirror.") from error
        if error.headers.get("Content-Range") == f"bytes */{offset}":
            return  # nothing is missing
        part.unlink()
        raise _Broken("the file on the server is another one now") from error
    except urllib.error.URLError as error:  # no name, no route, refused, or silent
        raise _Broken(error.reason, reached=False) from error
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(error) from error
    with answer:
        resumed = answer.status == http.HTTPStatus.PARTIAL_CONTENT
        if resumed and not (answer.headers.get("Content-Range") or "").startswith(f"bytes {offset}-"):
            part.unlink()
            raise _Broken("the server sent another range than the one asked for")
        done = offset if resumed else 0
        length = answer.headers.get("Content-Length")
        total = done + int(length) if length else None
        _remember(part, answer.headers)
        with part.open("ab" if resumed else "wb") as file:
            progress(done, total)
            while chunk := _read(answer):
                file.write(chunk)
                done += len(chunk)
                progress(done, total)
    if total is not None and done < total:
        raise _Broken(f"{total - done} bytes are missing")


def _read(answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.read(CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(error) from error


def _remember(part: Path, headers: http.client.HTTPMessage) -> None:
    """Keep what identifies this version of the file, for If-Range (RFC 9110: no weak entity tags there)."""
    tag = headers.get("ETag") or ""
    version = tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")
    if version:
        _validator(part).write_text(version)
    else:
        _validator(part).unlink(missing_ok=True)


def _version(part: Path) -> str | None:
    """What was kept of the version of a part; empty where the server named none, None where the file is damaged."""
    if not _validator(part).is_file():
        return ""
    kept = _validator(part).read_text(encoding="latin-1")
    return kept if kept and kept.isascii() and kept.isprintable() else None


def _validator(part: Path) -> Path:
    return part.with_name(part.name + ".version")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


# verify


def _verify(archive: Path, source: Source, say: Callable[[str], None]) -> str:
    """The archive's checksum, which must be the published one, or else that of the first download."""
    stored = archive.with_name(archive.name + ".sha256")
    expected = source.checksum
    if expected is None and stored.is_file():
        words = read_lines(stored)[0].split()
        if not words:
            raise BadInput(f"{stored} is empty: delete it, and {archive.name} is accepted as it is.")
        expected = f"sha256:{words[0].lower()}"
    algorithm = expected.partition(":")[0] if expected else "sha256"
    with archive.open("rb") as file:
        found = f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"
    if expected is None:
        stored.write_text(f"{found.partition(':')[2]}  {archive.name}\n")
        say(f"{archive.name}: {source.note}; {found}, kept in {stored} for the next fetch")
    elif found != expected:
        wrong = archive.with_name(archive.name + ".wrong")
        archive.replace(wrong)
        advice = "fetch it again" if source.checksum else f"fetch it again, or delete {stored} to accept it"
        raise BadInput(f"{archive.name} has checksum {found}, not {expected}: it is now {wrong.name}, {advice}.")
    return found


# unpack


def _unpack(archive: Path, home: Path, marker: dict[str, str]) -> None:
    """Unpack beside `home`, then move there in one step."""
    beside = home.with_name(home.name + ".unpacking")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        if zipfile.is_zipfile(archive):
            _unzip(archive, beside)
        else:
            with tarfile.open(archive) as tar:
                tar.extractall(beside, filter="data")  # refuses paths and links that lead outside, and devices
        whole = beside / home.name if [path.name for path in beside.iterdir()] == [home.name] else beside
        (whole / MARKER).write_text(json.dumps(marker, indent=2) + "\n")
        whole.rename(home)
    except BadInput:
        raise
    except tarfile.FilterError as error:
        raise BadInput(f"{archive} is unsafe ({error}): do not unpack it, and fetch from the publisher.") from error
    except UNREADABLE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the disk
        raise BadInput(f"{archive} is damaged ({error}): delete it and fetch again.") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)  # what a failure left there


def _raise_folder(home: Path) -> None:
    """Bring up what an older wrongkey unpacked into a folder of the corpus' own name."""
    inner = home / home.name
    if sorted(path.name for path in home.iterdir()) == sorted([MARKER, home.name]) and inner.is_dir():
        aside = home.with_name(home.name + ".unpacking")
        inner.rename(aside)
        (home / MARKER).rename(aside / MARKER)
        home.rmdir()
        aside.rename(home)


def _unzip(archive: Path, folder: Path) -> None:
    """`zipfile` drops `..` from names in silence; an archive that has them is refused instead."""
    inside = folder.resolve()
    with zipfile.ZipFile(archive) as packed:
        for member in packed.namelist():
            if not (inside / member).resolve().is_relative_to(inside):
                raise BadInput(f"{archive} is unsafe ({member} leads outside): fetch from the publisher.")
        packed.extractall(folder)
