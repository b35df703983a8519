"""The row of the keystream cipher, which must stand: what attacks on its output achieved and claimed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from math import isfinite
from pathlib import Path
from statistics import median
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wrongkey.evaluation.run_folder.adversaries import ADVERSARIES, Adversary
from wrongkey.evaluation.run_folder.board_cell import Keystream, KeystreamTrial
from wrongkey.evaluation.run_folder.schema import read_json
from wrongkey.evaluation.run_folder.successes import decrypted
from wrongkey.keys.labels import scheme_label
from wrongkey.printable import printable
from wrongkey.reports.attacks.decisions import ENOUGH_TRIALS, LEAST_SHARE, share_interval
from wrongkey.reports.attacks.threats import Word, worst
from wrongkey.reports.scheme_board.schema import BestKey, Break, Cell, Measured, Row, State, Tried, weakest
from wrongkey.reports.scheme_board.words import NOT_RUN, UNFINISHED, cost_words, does_not_apply

NO_MODEL = "No layer of a model can absorb a keystream: there is no encrypted model."
NO_BLOCKS = "A keystream is never used twice: known or chosen plaintext tells nothing of other speech."
LABELS = {"aes-256-ctr": "AES-256-CTR, 16 bit"}
STATES: Mapping[Word, State] = {
    Word.BROKEN: "broken",
    Word.NOT_SHOWN: "not shown to break",
    Word.UNDECIDED: "undecided",
}


def reference_row(path: Path) -> Row:
    """The row of a keystream cipher, from its `cells/CIPHER.json`.

    Raises
    ------
    BadInput
        For a broken file.
    """
    found = Keystream.model_validate(read_json(path, cast(Any, Keystream)))
    tried = list(_tried(found))
    nothing, why = does_not_apply(NO_MODEL), found.why
    cells = [_cell(found, tried, adversary) for adversary in ADVERSARIES]
    return Row(
        scheme=printable(found.cipher),
        label=LABELS.get(found.cipher, printable(found.cipher)),
        source=found.source,
        block=None,
        reference=True,
        recordings=found.recordings or "unknown",
        weakest=weakest(cells),
        nominal_bits=Measured(words="256", value=256.0),
        effective_bits=Measured(words=nothing),
        best_key=BestKey(words=nothing),
        cells=cells,
        leaks="Ciphertext tells how long speech is, and nothing else.",
        linkability=Measured(words=does_not_apply("every utterance has a keystream of its own.")),
        cost=found.cost,
        cost_words=cost_words(found.cost, NOT_RUN),
        attacks=tried,
        notes=[*([] if found.complete else [UNFINISHED]), *([f"reference failed: {printable(why)}"] if why else [])],
        versions=found.versions,
    )


def _tried(found: Keystream) -> Iterator[Tried]:
    """A row for each attack, and for what its input was taken for."""

    def place(trial: KeystreamTrial) -> tuple[Any, ...]:
        return trial.attack, trial.scheme, trial.block, trial.seconds

    for (attack, scheme, block, seconds), group in groupby(sorted(found.trials, key=place), key=place):
        trials = list(group)
        ended = [trial for trial in trials if not trial.failed]
        heard = [trial.snr for trial in ended if trial.snr is not None and isfinite(trial.snr)]
        claims = np.array([bool(trial.claimed) for trial in ended], dtype=bool)
        tells = any(trial.claimed is not None for trial in ended)
        broken = _decrypted(ended)
        hits = int(broken.sum())
        low, high = share_interval(hits, len(ended))
        yield Tried(
            attack=printable(attack),
            given=f"taken for {printable(scheme_label(scheme))}, M = {block}, {seconds:g} s of ciphertext",
            asset="speech",
            verdict=_word(hits, len(ended)).value,
            needs=found.needs.get(attack, ["ciphertext"]),
            seconds=seconds,
            successes=hits,
            trials=len(ended),
            failed=len(trials) - len(ended),
            share_low=low,
            share_high=high,
            claimed=int(claims.sum()) if tells else None,
            claimed_wrong=int((claims & ~broken).sum()) if tells else None,
            snr=median(heard) if heard else None,
            cpu_seconds=median(trial.cpu_seconds for trial in trials),
        )


def _cell(found: Keystream, tried: list[Tried], adversary: Adversary) -> Cell:
    """All attacks that an adversary can run, pooled, since each is a trial of the cipher; the state is the worst."""
    if "ciphertext" not in adversary.has:
        return Cell(adversary=adversary.name, state="does not apply", words=does_not_apply(NO_MODEL), sentence=NO_MODEL)
    own = [one for one in tried if adversary.can(one.needs) and one.trials]
    if not own:
        return Cell(adversary=adversary.name, state="not run", words=NOT_RUN, sentence="No attack was run.")
    hits, trials = (sum(getattr(one, name) or 0 for one in own) for name in ("successes", "trials"))
    claimed, wrong = (_total(own, name) for name in ("claimed", "claimed_wrong"))
    claims = "no attack makes claims" if claimed is None else f"{claimed} claims of success"
    low, high = share_interval(hits, trials)
    state = STATES[worst([_word(hits, trials), *(Word(one.verdict) for one in own if one.successes)])]
    names = sorted({one.attack for one in own})
    interval = f"{hits} of {trials} [{100 * low:.0f}, {100 * high:.1f} %]"
    more = f" {NO_BLOCKS}" if {"known plaintext", "chosen plaintext"} & adversary.has else ""
    more = f" {NO_MODEL}" if {"encrypted model", "public model"} & adversary.has else more
    return Cell(
        adversary=adversary.name,
        state=state,
        words=f"{state}: {interval}, {claims}",
        sentence=f"{', '.join(names)} decrypt {interval} of the ciphertexts; {claims}.{more}",
        case=Break(
            attack=", ".join(names),
            given="all ciphertexts of the reference",
            asset="speech",
            cpu_seconds=sum((one.cpu_seconds or 0.0) * one.trials for one in own) / trials,
            successes=hits,
            trials=trials,
            share_low=low,
            share_high=high,
            claimed=claimed,
            claimed_wrong=wrong,
        ),
    )


def _total(tried: list[Tried], name: str) -> int | None:
    """The sum over attacks that have the value; None where none has it."""
    values = [value for one in tried if (value := getattr(one, name)) is not None]
    return sum(values) if values else None


def _decrypted(trials: Sequence[KeystreamTrial]) -> NDArray[np.bool_]:
    """Per trial: the speech is decrypted, as it is under every scheme; the correct key gives it back exactly."""
    return decrypted(pd.DataFrame([(one.snr, one.stoi) for one in trials], columns=["snr", "stoi"], dtype=float))


def _word(hits: int, trials: int) -> Word:
    """Broken as every scheme is: with confidence one ciphertext in ten. Random keys decrypt none."""
    if hits and share_interval(hits, trials)[0] >= LEAST_SHARE:
        return Word.BROKEN
    return Word.NOT_SHOWN if trials >= ENOUGH_TRIALS and not hits else Word.UNDECIDED
