"""What a board consists of: a cell for each scheme and block size, with its model or the reason why it has none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from wrongkey.attacks.analyses.measurable import check_measurable
from wrongkey.attacks.board.entries import Entry, explained_scheme
from wrongkey.attacks.board.protocol import Protocol
from wrongkey.errors import BadInput
from wrongkey.evaluation.preparation import Preparation
from wrongkey.evaluation.run_folder.vocabulary import BOARD_PARTS
from wrongkey.evaluation.windows import sends_windows
from wrongkey.files import file_name

NO_STRENGTH = "The protocol measures no strength."
NO_LEAKS = "The protocol measures no leaks."
OF_DERIVED = "Attacks on a model under one matrix after another are not known: the speech alone is attacked."
OF_PREPARED = "Leaks are measured on speech as it was recorded, and this scheme changes it first."
OF_WINDOWS = "Leaks are measured on blocks of speech, and this scheme encrypts windows."


@dataclass(frozen=True)
class PlannedCell:
    """A scheme at a block size.

    Attributes
    ----------
    entry : Entry
        The scheme.
    block : int
        M.
    model : str or None
        What carries the key.
    why_no_model : str
        The reason where there is none, as a sentence.
    obstacles : mapping of str to str
        Parts that do not apply, and why, as a sentence.
    """

    entry: Entry
    block: int
    model: str | None
    why_no_model: str
    obstacles: Mapping[str, str]

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{file_name(self.entry.spec)}-m{self.block:03d}"


def planned_cells(protocol: Protocol, entries: Sequence[Entry], blocks: Sequence[int]) -> list[PlannedCell]:
    """The cells in their order: scheme by scheme, small blocks first.

    Raises
    ------
    BadInput
        Where two schemes would share a folder.
    """
    cells = [_planned(protocol, entry, block) for entry in entries for block in sorted(set(blocks))]
    names = [cell.name for cell in cells]
    if twice := next((cell for cell in cells if names.count(cell.name) > 1), None):
        raise BadInput(f"Two schemes would write into a folder {twice.name}: run them into two folders.")
    return cells


def _planned(protocol: Protocol, entry: Entry, block: int) -> PlannedCell:
    model, why = protocol.model(block), ""
    if model is None:
        why = f"The protocol has no model whose blocks have M = {block}."
    elif entry.scheme.derived is not None:
        model, why = None, OF_DERIVED
    with explained_scheme(entry.spec):
        return PlannedCell(entry, block, model, why, dict(_obstacles(protocol, entry, model, why)))


def _obstacles(protocol: Protocol, entry: Entry, model: str | None, why_no_model: str) -> Iterator[tuple[str, str]]:
    """Parts that do not apply, each with its first reason."""
    windows = sends_windows(entry.spec)
    if windows and model is None:
        needed = "This scheme sends the windows that a model's first layer reads."
        for part in BOARD_PARTS:
            yield part, f"{needed} {why_no_model}"
        return
    if protocol.content.strength is None or model is None:
        yield "strength", why_no_model or NO_STRENGTH
    if leaks := _no_leaks(protocol, entry, windows):
        yield "leaks", leaks


def _no_leaks(protocol: Protocol, entry: Entry, windows: bool) -> str:
    if protocol.content.leaks is None:
        return NO_LEAKS
    if windows:
        return OF_WINDOWS
    if Preparation.of(entry.spec):
        return OF_PREPARED
    try:
        check_measurable(entry.scheme, of_one_block=True)
    except BadInput as error:
        return str(error)
    return ""
