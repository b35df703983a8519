"""The lists of utterances in a board's folder."""

from pathlib import Path

import pytest

from wrongkey.attacks.board.folder import BoardFolder
from wrongkey.errors import BadInput


def test_a_list_that_cannot_be_read_is_a_sentence(tmp_path, monkeypatch):
    board = BoardFolder(tmp_path)
    board.make("lists")
    assert board.write_list("victims", ["a"]) == board.write_list("victims", ["a"])
    with pytest.raises(BadInput, match="lists other utterances"):
        board.write_list("victims", ["b"])
    monkeypatch.setattr(Path, "read_text", unreadable)
    with pytest.raises(BadInput, match=r"victims\.txt cannot be read \(Input/output error\): check its permissions"):
        board.write_list("victims", ["a"])


def unreadable(path, **kwargs):
    raise OSError(5, "Input/output error")
