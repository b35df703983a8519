"""The folder of a board: its protocol, a run folder for each cell, and beside it what `board_cell` describes.

protocol.json         the protocol, by which the folder knows what it holds
speech.json           SHA-256 of the speech of victims and of background speakers
runs/NAME/            the run folder of a cell
cells/NAME.json       what was run in it, and what the run folder does not hold
lists/*.txt           utterances of victims and of background speakers
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, cast

from wrongkey.attacks.board.cells import PlannedCell
from wrongkey.attacks.board.protocol import Protocol
from wrongkey.errors import BadInput
from wrongkey.evaluation.run_folder.board_cell import PROTOCOL, Cell, Claimed, Sha256, check_protocol, check_same
from wrongkey.evaluation.run_folder.folder import LOCK, RunFolder
from wrongkey.evaluation.run_folder.manifest import now, versions
from wrongkey.evaluation.run_folder.schema import Part, read_json
from wrongkey.files import explained_errors

SPEECH = "speech.json"
RESULTS = ("manifest.json", "attacks/suite.json", "strength", "analyses")  # one of which a run folder with results has


class Heard(Part):
    """`speech.json`: the digests of the speech that the folder's results are of."""

    FORMAT: ClassVar[str] = "wrongkey-board-speech/1"
    REMEDY: ClassVar[str] = "run the board again into another folder with --out"

    victims: Sha256
    background: Sha256


class BoardFolder(RunFolder):
    """Where a board is made.

    Parameters
    ----------
    path : Path
        The folder, which need not exist.
    """

    def claim_board(self, protocol: Protocol) -> None:
        """Begin a board, or continue that of the same protocol.

        Raises
        ------
        BadInput
            For the board of another protocol, a folder with other files, and one that cannot be written.
        """
        path = self.path / PROTOCOL
        if path.exists():
            self.check_claim(protocol)
        else:
            self._begin(protocol)
        for name in ("cells", "runs", "lists"):
            self.make(name)

    def check_claim(self, protocol: Protocol) -> None:
        """Check that the folder holds no board, or one of this protocol.

        Raises
        ------
        BadInput
            For the board of another protocol, and one whose protocol was edited.
        """
        path = self.path / PROTOCOL
        if not path.exists():
            return
        found = read_json(path, cast(Any, Claimed))
        check_protocol(path, found, found["content"])
        if found["hash"] != protocol.hash:
            raise BadInput(
                f"{self.path} holds the board of the protocol {found['name']} ({found['hash'][:12]}), and this one is "
                f"{protocol.name} ({protocol.hash[:12]}): choose another --out."
            )

    def _begin(self, protocol: Protocol) -> None:
        if self.path.is_dir() and any(one.name != LOCK for one in self.path.iterdir()):
            raise BadInput(f"{self.path} holds files but no board: choose an empty or new folder with --out.")
        self.make("")
        self.write_json(PROTOCOL, {"format": Claimed.FORMAT, **protocol.named, "content": protocol.raw})

    def claim_speech(self, spec: str, digests: Mapping[str, str]) -> None:
        """Keep the digests of `victims` and `background`, or compare them with those of the folder.

        Raises
        ------
        BadInput
            Where the folder is of other speech than that of the corpus `spec`; nothing is written then.
        """
        path = self.path / SPEECH
        if not path.exists():
            self.write_json(SPEECH, {"format": Heard.FORMAT, **digests})
            return
        found = read_json(path, cast(Any, Heard))
        if other := [side for side, one in digests.items() if found[side] != one]:
            raise BadInput(
                f"{self.path} holds a board of other speech than {spec} (of the {other[0]}): give the --corpus that it "
                "was made with, or choose another --out."
            )

    def run_folder(self, cell: PlannedCell) -> Path:
        """The run folder of a cell."""
        return self.path / "runs" / cell.name

    def cell(self, cell: PlannedCell, protocol: Protocol) -> dict[str, Any] | None:
        """What was run of a cell; None where nothing was.

        Raises
        ------
        BadInput
            For one of another protocol, another scheme or another version of its code, block size or model, for a run
            folder without this record, and a broken file.
        """
        path = self.path / "cells" / f"{cell.name}.json"
        if not os.path.lexists(path):
            self._check_unrun(cell, path)
            return None
        found = read_json(path, cast(Any, Cell))
        check_same(path, found["protocol"], protocol.named)
        for what, there, here in (("block", found["block"], cell.block), ("model", found.get("model"), cell.model)):
            if there != here:
                raise BadInput(
                    f"{path} is of the {what} {there}, and this cell is of {here}: delete that file and "
                    f"{self.run_folder(cell)}, or choose another --out."
                )
        if found["scheme"] != cell.entry.spec or found["source"] != cell.entry.source:
            other = "other code of it" if found["scheme"] == cell.entry.spec else f"the scheme {found['scheme']}"
            raise BadInput(
                f"{path} was made with {other}, so that its results are not those of {cell.entry.spec}: choose another "
                "--out."
            )
        return found

    def _check_unrun(self, cell: PlannedCell, path: Path) -> None:
        """Check that a cell without a record has no results: nothing would say of which code they are."""
        run = self.run_folder(cell)
        if any(os.path.lexists(run / name) for name in RESULTS):
            raise BadInput(
                f"{run} holds results, and {path}, which says with which code they were made, is missing: delete that "
                "folder, or choose another --out."
            )

    def write_cell(self, name: str, format_: str, content: Mapping[str, Any]) -> None:
        """Write `cells/NAME.json` with the versions of this session and the time."""
        known = [one for one in content.get("versions", []) if one != versions()]
        self.write_json(
            f"cells/{name}.json", {**content, "format": format_, "versions": [*known, versions()], "made": now()}
        )

    def write_list(self, name: str, ids: list[str]) -> Path:
        """Write the ids of utterances, one a line, where the list is not there already; its path.

        Raises
        ------
        BadInput
            Where the list that is there has other ids, or cannot be read.
        """
        path, text = self.path / "lists" / f"{name}.txt", "".join(f"{one}\n" for one in ids)
        if not path.is_file():
            self.write_text(f"lists/{name}.txt", text)
            return path
        with explained_errors(path, "check its permissions", action="read"):
            written = path.read_text(encoding="utf-8", errors="surrogateescape")
        if written != text:
            raise BadInput(
                f"{path} lists other utterances than --corpus has: give the --corpus that the board was made with, or "
                "choose another --out."
            )
        return path
