"""Lists of utterances that a worker of another machine lacks are sent to it, and only then."""

import tempfile
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from wrongkey.evaluation.processes import lists as module
from wrongkey.evaluation.processes.dispatch import Call, collect
from wrongkey.evaluation.processes.lists import Lists, Unknown, lists_of
from wrongkey.evaluation.processes.watch import Watch

CONTENT = "a/1\nb/2\n" * 5_000


@dataclass(frozen=True)
class Config:
    only: str | None
    background_only: str | None = None
    block: int = 3


@pytest.fixture(autouse=True)
def new_worker(monkeypatch):
    monkeypatch.setattr(module, "_known", {})


@pytest.fixture
def asked(tmp_path):
    (tmp_path / "list.txt").write_text(CONTENT)
    return Config(str(tmp_path / "list.txt"))


def test_a_worker_writes_the_lists_that_it_was_sent(asked, tmp_path):
    named, packed = lists_of(asked)
    assert [setting for setting, _ in named.hashes] == ["only"]
    assert sum(map(len, packed.values())) < len(CONTENT) / 50
    with pytest.raises(Unknown):
        named.written(asked, tmp_path)
    own = tmp_path / "own"
    own.mkdir()
    config = module.with_lists(packed, named.written, asked, own)
    assert config.only is not None and Path(config.only).parent == own
    assert Path(config.only).read_text() == CONTENT and config.background_only is None and config.block == 3
    assert named.written(asked, own) == config


def test_without_lists_a_configuration_stays_as_it_is(tmp_path):
    named, packed = lists_of(Config(None))
    assert named == Lists() and not packed and named.written(Config(None), tmp_path) == Config(None)


def test_files_of_lists_are_temporary_and_no_folder_is_made_without_lists(asked, tmp_path, monkeypatch):
    """Found by benchmarks.faults: workers that were killed while they prepared left empty folders."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    with Lists().in_files(Config(None)) as config:  # there is no such place
        assert config == Config(None)
    (tmp_path / "temporary").mkdir()
    named, packed = lists_of(asked)
    with module.with_lists(packed, named.in_files, asked) as config:
        file = Path(config.only)
        assert file.read_text() == CONTENT and file.is_relative_to(tmp_path / "temporary")
    assert not list((tmp_path / "temporary").iterdir())


class AtOnce(Executor):
    """Computes at once, and counts what it is sent."""

    def __init__(self) -> None:
        self.submitted: list[tuple[Any, ...]] = []

    def submit(self, function, /, *arguments, **settings):
        self.submitted.append(arguments)
        future: Future[Any] = Future()
        future.set_result(function(*arguments))
        return future


def in_worker(named: Lists, config: Config, folder: Path, number: int) -> tuple[int, str | None]:
    return number, named.written(config, folder).only


def test_only_the_calls_of_a_worker_that_lacks_a_list_are_sent_it(asked, tmp_path):
    (named, packed), executor = lists_of(asked), AtOnce()
    calls = [Call(f"number {i}", (named, asked, tmp_path, i)) for i in range(9)]
    found = list(collect(executor, in_worker, calls, 1, Watch("shard", None, str), lists=packed))
    assert sorted(number for number, _ in found) == list(range(9))
    assert all(only == str(tmp_path / "only.txt") for _, only in found)
    sent = [arguments for arguments in executor.submitted if packed in arguments]
    assert len(executor.submitted) == 9 + len(sent) and len(sent) == 2  # both that were submitted at first
