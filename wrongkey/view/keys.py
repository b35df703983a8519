"""What is known about one incorrect key of a run: its scores and rank, its neighbours, what was heard, its measures."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wrongkey.attacks.analyses.key_measures import MEASURES, measure_keys, speech_moments
from wrongkey.attacks.analyses.trust import scheme_risk
from wrongkey.errors import BadInput
from wrongkey.keys import IncorrectKeys, correct_key, get_scheme
from wrongkey.keys.key_cut import KeyCut
from wrongkey.keys.labels import taken_apart
from wrongkey.printable import printable
from wrongkey.reports.commands import draw_words
from wrongkey.reports.metrics import METRICS
from wrongkey.reports.outputs import kept_key
from wrongkey.reports.runs import Run
from wrongkey.view.sound import Use

NEIGHBOURS = 3  # on either side, by score
TRANSCRIPTS = 4  # of the utterances whose answers were kept
LARGEST = 2**11  # rows of a key that is drawn and measured while somebody waits

Key = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class KeysOfRun:
    """The keys of a run, drawn again from its manifest.

    run : Run
        A sweep's run folder.
    name : str
        What the page calls it.
    trusted : bool
        Whether a scheme of the manifest may run code.
    """

    run: Run
    name: str
    trusted: bool = False

    @property
    def cut(self) -> KeyCut:
        """How a key cuts a query."""
        one = KeyCut(self.run.blocks, self.run.block_size)
        bins = taken_apart(self.run.scheme).value("along") == "bins"
        return KeyCut(one.blocks, one.block_size, max(1, self.run.size // one.size), "bins" if bins else "time")

    @property
    def seed(self) -> int:
        """The seed of the sweep."""
        return int(self.run.section("config").get("seed") or 0)

    @cached_property
    def _incorrect(self) -> IncorrectKeys:
        if self.cut.size > LARGEST:
            raise BadInput(f"The keys of {self.name} are of {self.cut.size} rows: drawn while you wait are {LARGEST}.")
        spec = str(self.run.section("config").get("scheme_spec") or self.run.section("config").get("scheme"))
        if (risk := scheme_risk(spec)) and not self.trusted:
            raise BadInput(
                f"{self.name} names the scheme {spec!r}, which {risk}: add --trust if you trust whoever made this run."
            )
        scheme = get_scheme(spec)
        correct = correct_key(scheme, self.cut.size, self.seed) if self.run.keyed else np.eye(self.cut.size)
        return IncorrectKeys(scheme, self.cut.size, self.seed, correct, self.run.right)

    @property
    def correct(self) -> Key:
        """The correct key `(N, N)`; the identity where the model carries none."""
        return self._incorrect.correct

    @property
    def uses(self) -> tuple[Use, ...]:
        """What its keys can do to speech: where the model carries no key, nothing is decrypted."""
        return tuple(Use) if self.run.keyed else (Use.ENCRYPT,)

    def key(self, index: int) -> Key:
        """Incorrect key number `index`, `(N, N)`. Raises BadInput for one that the sweep did not score."""
        if index not in self._scored:
            raise BadInput(f"{self.name} has no score of key {index}: its keys are numbered from 0.")
        return self._incorrect.batch(index, 1)[0]

    @cached_property
    def _scored(self) -> frozenset[int]:
        return frozenset(self.run.rows("incorrect", self.run.metric)["key_index"].tolist())

    def facts(self, index: int, speech: NDArray[np.float32] | None) -> dict[str, Any]:
        """All that is known about a key, for JSON.

        Parameters
        ----------
        index : int
            Number of an incorrect key that the sweep scored.
        speech : ndarray of shape (samples,), optional
            A query of the run, on which the measures that depend on speech are taken.

        Returns
        -------
        dict
            run, index, command, scores, neighbours, transcripts and measures.

        Raises
        ------
        BadInput
            For a key that the sweep did not score, and as `correct`.
        """
        measures = self._measures(index, speech)  # first, as it refuses a key that was not scored
        return {
            "run": self.name,
            "index": index,
            "keyed": self.run.keyed,
            "command": shlex.join([*draw_words(self.run), str(index)]),
            "scores": self._scores(index),
            "neighbours": self._neighbours(index),
            "transcripts": self._transcripts(index),
            "measures": measures,
        }

    def _scores(self, index: int) -> list[dict[str, Any]]:
        """Value, interval and rank by every metric of the run, the best key for an attacker first."""
        found = []
        for name in self.run.metrics:
            metric, rows = METRICS[name], self.run.rows("incorrect", name)
            own = rows[rows["key_index"] == index]
            if not len(own):
                continue
            value = float(own["value"].iloc[0])
            better = rows["value"] < value if metric.higher_is_safer else rows["value"] > value
            bounds = [float(own[column].iloc[0]) for column in ("ci_low", "ci_high")]
            found.append(
                {
                    "metric": metric.axis,
                    "value": metric.number(value),
                    "interval": [metric.number(bound) for bound in bounds] if np.isfinite(bounds).all() else None,
                    "rank": int(better.sum()) + 1,
                    "ties": int((rows["value"] == value).sum()) - 1,
                    "of": len(rows),
                }
            )
        return found

    def _neighbours(self, index: int) -> list[dict[str, Any]]:
        """The keys next to it by the run's own metric, the better for an attacker first; itself among them."""
        metric = METRICS[self.run.metric]
        rows = self.run.rows("incorrect", metric.name)
        rows = rows.sort_values("value", ascending=metric.higher_is_safer, kind="stable").reset_index(drop=True)
        place = int(np.flatnonzero(rows["key_index"] == index)[0])
        near = rows.iloc[max(0, place - NEIGHBOURS) : place + NEIGHBOURS + 1]
        return [
            {"index": int(key), "value": metric.number(float(value))}
            for key, value in zip(near["key_index"], near["value"], strict=True)
        ]

    def _transcripts(self, index: int) -> list[dict[str, str]]:
        """What a recogniser wrote under this key, where the sweep kept its outputs."""
        if self.run.task != "asr":
            return []
        kept = kept_key(self.run, index, ("utterance", "reference", "hypothesis"))
        if kept is None:
            return []
        return [
            {name: printable(row[name]) for name in ("utterance", "reference", "hypothesis")}
            for _, row in kept.head(TRANSCRIPTS).iterrows()
        ]

    def _measures(self, index: int, speech: NDArray[np.float32] | None) -> list[dict[str, Any]]:
        """How far the key is from the correct one; those of speech only where there is some, None of silence."""
        moments = np.eye(self.cut.size) if speech is None else self._moments(speech)
        values = measure_keys(self.key(index)[None], self.correct, moments, self.cut)
        need_speech = {"euclidean", "euclidean_unsigned", "moments"}
        return [
            {"label": MEASURES[name].label, "meaning": MEASURES[name].meaning, "value": _finite(value[0])}
            for name, value in values.items()
            if speech is not None or name not in need_speech
        ]

    def _moments(self, speech: NDArray[np.float32]) -> Key:
        import torch

        return speech_moments([torch.from_numpy(speech)], self.cut).sum(0)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
