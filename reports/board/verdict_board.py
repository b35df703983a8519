"""The board itself: headline, cautions, criteria, and a row for each setting."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from wrongkey.evaluation.run_folder.adversaries import ADVERSARIES
from wrongkey.evaluation.run_folder.successes import UNLOCKED
from wrongkey.evaluation.run_folder.vocabulary import DECRYPTED, RECOVERED
from wrongkey.printable import listed, printable
from wrongkey.reports.analyses import Analysis
from wrongkey.reports.attacks.decisions import ENOUGH_TRIALS, LEAST_SHARE
from wrongkey.reports.attacks.guessing import EXCLUDED, MOST_GUESSES
from wrongkey.reports.attacks.rows import AttackRun
from wrongkey.reports.attacks.verdicts import AttackVerdict, verdict
from wrongkey.reports.board.cautions import cautions
from wrongkey.reports.board.cells import Cell, cell_of
from wrongkey.reports.board.headline import Headline, headline
from wrongkey.reports.board.joining import Evidence, join
from wrongkey.reports.board.table import board_html
from wrongkey.reports.statistics.key_statistics import KeyStatistics
from wrongkey.reports.strength.runs import StrengthRun
from wrongkey.reports.strength.words import short_words

HAS = {
    "unauthorised user": "may ask the encrypted model",
    "eavesdropper": "hears encrypted speech",
    "provider": "also holds the encrypted model",
    "provider of a public model": "also has the plain weights",
    "someone in the room": "hears encrypted speech, and some of it plain",
    "borrowed device": "can have any speech encrypted",
    "insider with names": "has encrypted speech with names, and the plain weights",
}
_NEAR = f"within {UNLOCKED:g} point of plain"
CRITERIA = (
    "Broken: an attack succeeds for more keys than random keys do, and with confidence for at least "
    f"{100 * LEAST_SHARE:.0f} % of them (key error below {RECOVERED:g}, speech at {DECRYPTED:.0f} dB or near what "
    f"the correct key gives, or the model {_NEAR}); or a key {_NEAR} takes at most {MOST_GUESSES:,} guesses, "
    f"also by its 95 % interval; or no attack is needed, because a typical wrong key comes {_NEAR} or a tenth of the "
    "way to chance. Weakened: clearly better than random keys, or as few guesses to within 5 points. Held here: "
    f"{ENOUGH_TRIALS} trials of an attack or more showed neither, or there were guesses enough to exclude that one key "
    f"in {1 / EXCLUDED:.0f} works; no proof of safety. Unclear: what was tried does not decide."
)


@dataclass(frozen=True)
class Column:
    """An adversary, and what they have."""

    name: str
    has: str


@dataclass(frozen=True)
class Row:
    """A setting: scheme, block size M, kind of blocks, front end and model, with a cell for each adversary.

    Attributes
    ----------
    label : str
        Such as "ROM, M = 10".
    facts : str
        Such as "ASV · asv-raw10 · plain 7.5 % EER · 1,000 keys".
    scheme, block_size, blocks, model, task
        As run folders have them; model and task are "" where speech alone was attacked.
    front_end : str
        Of the model: "waveform" where it leaves waveforms as they are, "own" or "unknown".
    anchor : str
        An id for links.
    strength : str
        Such as "13.8 [12.3, 15.3] of 111 bits to within 1 point"; "" where it was not measured.
    cells : tuple of Cell
        In the order of the columns.
    """

    label: str
    facts: str
    scheme: str
    block_size: int
    blocks: str
    front_end: str
    model: str
    task: str
    anchor: str
    strength: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Board:
    """What all runs show together.

    Attributes
    ----------
    verdict : str
        "yes" (nothing was broken), "no" (some row was), "partly" (weakened only) or "unclear".
    answer, rest : str
        The two parts of the headline.
    cautions : tuple of str
        Sentences that a reader must know, each once.
    criteria : str
        What the states mean.
    columns : tuple of Column
        The adversaries, the weakest first.
    rows : tuple of Row
        By task, scheme, block size and model.
    """

    verdict: str
    answer: str
    rest: str
    cautions: tuple[str, ...]
    criteria: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    @property
    def headline(self) -> str:
        """The answer and the rest."""
        return f"{self.answer} {self.rest}"

    def to_dict(self) -> dict[str, Any]:
        """The board as JSON holds it."""
        return {
            "headline": self.headline,
            "verdict": self.verdict,
            "answer": self.answer,
            "rest": self.rest,
            "cautions": list(self.cautions),
            "criteria": self.criteria,
            "columns": [asdict(column) for column in self.columns],
            "rows": [
                {**{name: value for name, value in vars(row).items() if name != "cells"}}
                | {"cells": [cell.to_dict() for cell in row.cells]}
                for row in self.rows
            ],
        }

    def __repr__(self) -> str:
        return f"Board({self.verdict!r}, {len(self.rows)} rows × {len(self.columns)} adversaries)"

    def _repr_html_(self) -> str:
        """A table for notebooks."""
        return board_html(self)


def board(
    results: Sequence[KeyStatistics],
    attacks: Sequence[AttackRun],
    analyses: Sequence[Analysis] = (),
    verdicts: Sequence[AttackVerdict] | None = None,
    strengths: Sequence[StrengthRun] = (),
) -> Board:
    """Bring sweeps, attacks and analyses together and judge every setting against every adversary.

    Parameters
    ----------
    results : sequence of KeyStatistics
        Of sweeps; those of another metric than the task's own, and of plain models without a key, do not count.
    attacks : sequence of AttackRun
        Of `find_attacks`.
    analyses : sequence of Analysis
        Of `find_analyses`.
    verdicts : sequence of AttackVerdict, optional
        Of the attacks, where they are judged already.
    strengths : sequence of StrengthRun
        Of `find_strength`; each is a fact of the row of its model and keys.

    Returns
    -------
    Board
        Shows itself in notebooks.

    Examples
    --------
    >>> board([], []).headline
    'Unclear: there is no sweep of a model with a key, and no attack.'
    """
    verdicts = [verdict(run) for run in attacks] if verdicts is None else verdicts
    joined, alone = join(results, dict(zip(attacks, verdicts, strict=True)), analyses, strengths)
    judged = [(row, _alike([cell_of(row, adversary) for adversary in ADVERSARIES])) for row in joined]
    said: Headline = headline([(row.place, cells) for row, cells in judged])
    anchors: dict[str, int] = {}
    rows = []
    for row, cells in judged:
        number = anchors[row.place.anchor] = anchors.get(row.place.anchor, 0) + 1
        rows.append(_row(row, cells, row.place.anchor + (f"-{number}" if number > 1 else "")))
    columns = tuple(Column(adversary.name, HAS[adversary.name]) for adversary in ADVERSARIES)
    return Board(said.verdict, said.answer, said.rest, cautions(judged, alone), CRITERIA, columns, tuple(rows))


def _alike(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """The cells of a row; each that rests on the same case as an earlier one names its adversary."""
    return tuple(
        replace(cell, like=next((other.adversary for other in cells[:place] if other.rests_with(cell)), ""))
        for place, cell in enumerate(cells)
    )


def _row(row: Evidence, cells: tuple[Cell, ...], anchor: str) -> Row:
    place = row.place
    return Row(
        f"{place.scheme_name}, M = {place.size}",
        _facts(row),
        place.scheme,
        place.block_size,
        place.blocks,
        place.front_end,
        place.model,
        place.task,
        anchor,
        _strength(row),
        cells,
    )


def _strength(row: Evidence) -> str:
    """Of several measurements that with the fewest bits; "" where none has any."""
    given = [(one.nearest.bits, one) for one in row.strengths if one.nearest and one.nearest.bits is not None]
    return short_words(min(given, key=lambda one: one[0])[1]) if given else ""


def _facts(row: Evidence) -> str:
    """Task, model, how good the plain model is, and how many keys; of speech alone its corpora."""
    place = row.place
    corpora = dict.fromkeys(one.run.corpus for one in row.sweeps)
    corpora |= dict.fromkeys(printable(run.setting.get("corpus") or "") for run in row.attacks)
    if not place.model:
        return f"speech alone · {listed(list(filter(None, corpora)))}"
    facts = [place.task.upper(), place.model]
    if sweep := row.sweep:
        facts += [f"plain {sweep.metric.words(sweep.plain.value)} {sweep.metric.label}"] if sweep.plain else []
        facts += [f"{sweep.n:,} key{'' if sweep.n == 1 else 's'}"]
    return " · ".join([*facts, *([listed(list(corpora))] if len(corpora) > 1 else [])])
