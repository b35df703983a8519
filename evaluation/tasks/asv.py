"""Speaker verification under a key: from embeddings to trial scores to EER, minDCF and other measures of privacy.

A trial compares two utterances by the cosine of their embeddings; which key each side was embedded under is the threat
variant (``wrongkey.evaluation.config.VARIANTS``). Where several utterances enrol a speaker, the enrolment is the mean
of their embeddings, each scaled to unit length.

EER and minDCF come with an interval over speakers. The other measures have none: those that are fitted to the trials
(PAV, histograms, the least protected speaker) are biased where trials are few, and resampling, which repeats trials,
adds to the bias instead of showing it. docs/statistics.md says how large the bias is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from wrongkey.errors import BadInput
from wrongkey.evaluation.answers import Answers
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.corpora.corpus import Corpus, Utterance, first_three
from wrongkey.evaluation.metrics.affine import calibrated_cllr, halves_of
from wrongkey.evaluation.metrics.bootstrap import basic_interval, percentile_interval, speaker_weights
from wrongkey.evaluation.metrics.calibration import cllr_min, pools_of_keys
from wrongkey.evaluation.metrics.disclosure import expected_disclosure, worst_disclosure
from wrongkey.evaluation.metrics.error_rates import eer, effective_eer, error_rates, min_dcf
from wrongkey.evaluation.metrics.linkage import bins_of, linkability
from wrongkey.evaluation.metrics.resampled_eer import resampled_eer, shares_for_resampling
from wrongkey.evaluation.metrics.subgroups import eer_of_least_protected, halves_of_speakers, within_genders
from wrongkey.evaluation.tasks.enrolment import ENROLMENT
from wrongkey.evaluation.tasks.sessions import session_facts
from wrongkey.evaluation.tasks.trials import Indices, Trials, generate_trials, read_trials

if TYPE_CHECKING:
    import pandas as pd

_CPU_ELEMENTS = 2**20  # of the embeddings of one side that are held at a time: 4 MB, which a cache holds
_GPU_ELEMENTS = 2**25
PRIORS = {"min_dcf": 0.01, "min_dcf_05": 0.05}  # of a target trial
RULE_OF_30 = 30  # misses and false alarms that an interval of minDCF needs (Doddington)
RULE_OF_SPEAKERS = 200  # and speakers: the rule counts independent errors, and those of one speaker are not
GENDERS = {"f": "eer_female", "m": "eer_male"}


@dataclass(frozen=True, eq=False)
class SpeakerVerification:
    """The trials of a sweep.

    Parameters
    ----------
    trials : Trials
        Pairs of utterances.
    utterances : tuple of Utterance
        Those that some trial uses, in the order of `trials.ids`; they tell the speakers' genders.
    replicates : int
        Bootstrap replicates over speakers; 0 switches the intervals off.
    seed : int
        Of the bootstrap.
    plain_enrolment : bool
        Whether speakers enrol under the correct key, which gives the plain model's embeddings; otherwise under the key
        that the test utterances have.
    sessions : Mapping[str, Any]
        What the manifest says about the sessions of the trials.
    """

    metric: ClassVar[str] = "eer"

    trials: Trials
    utterances: tuple[Utterance, ...] = ()
    replicates: int = 200
    seed: int = 0
    plain_enrolment: bool = False
    sessions: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, config: SweepConfig, corpus: Corpus) -> SpeakerVerification:
        """Make the task of a sweep: its trials are read, or generated from the corpus.

        Raises BadInput where the corpus does not say who speaks, and for trials that cannot be read or generated.
        """
        if unknown := [u.id for u in corpus.utterances if not u.speaker]:
            raise BadInput(f"Corpus {corpus.name} does not say who speaks in {first_three(unknown)}: trials need it.")
        trials = _trials(config, corpus)
        return cls(
            trials,
            trials.utterances(corpus),
            config.replicates,
            config.seed,
            plain_enrolment=config.variant == "test",
            sessions=session_facts(trials, corpus),
        )

    def cautions(self) -> list[str]:
        """Return no caution: trials that mislead are refused where they are read."""
        return []

    def scores(self, answers: Answers, plain: Callable[[], Answers]) -> Tensor:
        """Turn embeddings ``(keys, utterances, dim)`` into cosines ``(keys, trials)``.

        ``plain`` gives the plain model's embeddings, ``(1, utterances, dim)``. Raises BadInput where an embedding is
        not finite.
        """
        tested = cast(Tensor, answers)
        enrolled = cast(Tensor, plain()).expand_as(tested) if self.plain_enrolment else tested
        return self.cosines(enrolled, tested)

    def cosines(self, enrolled: Tensor, tested: Tensor) -> Tensor:
        """Turn embeddings ``(keys, utterances, dim)`` of both sides of the trials into cosines ``(keys, trials)``.

        Raises BadInput where an embedding is not finite.
        """
        same = enrolled is tested
        tested = normalize(tested, dim=-1)
        enrolled = tested if same else normalize(enrolled, dim=-1)
        if self.trials.models:
            means = torch.stack([enrolled[:, list(model.utterances)].mean(1) for model in self.trials.models], dim=1)
            enrolled = torch.cat([enrolled, normalize(means, dim=-1)], dim=1)
        enrolment, test = (
            torch.from_numpy(side).to(tested.device) for side in (self.trials.enrolment, self.trials.test)
        )
        scores = tested.new_empty(len(tested), len(self.target))
        elements = _CPU_ELEMENTS if tested.device.type == "cpu" else _GPU_ELEMENTS
        trials = max(1, elements // tested.shape[-1])
        for start in range(0, len(self.target), trials):
            some = slice(start, start + trials)
            for key in range(len(tested)):  # one key's pairs fit the memory where those of a shard do not
                products = enrolled[key].index_select(0, enrolment[some])
                scores[key, some] = products.mul_(tested[key].index_select(0, test[some])).sum(-1)
        if not torch.isfinite(scores).all():
            raise BadInput("The model gives embeddings with NaN or infinity: try --precision float32.")
        return scores

    def measure(self, scores: Tensor) -> list[dict[str, Any]]:
        """Turn ``scores (keys, trials)`` into rows: position, metric, value, ci_low, ci_high, n.

        A row for each key and metric: ``eer``, ``eer_effective`` and, within the groups that have enough trials,
        ``eer_female``, ``eer_male`` and ``eer_least_protected`` in percent; ``min_dcf`` and ``min_dcf_05`` with their
        interval where it can be trusted; ``cllr``, ``cllr_min`` and ``d_ece`` in bits, ``worst_llr`` as a power of ten,
        ``d_sys`` from 0 to 1.
        """
        rows = self._error_rates(scores)
        for name, values, n in (*self._of_groups(scores), *self._of_information(scores)):
            rows += _rows(name, values, n)
        return rows

    def _error_rates(self, scores: Tensor) -> list[dict[str, Any]]:
        """EER and minDCF, with intervals over speakers."""
        target, n = self.target.to(scores.device), len(self.target)
        found = error_rates(scores, target, tuple(PRIORS.values()))
        values = found.eer.tolist()
        low, high = [float("nan")] * len(values), [float("nan")] * len(values)
        if self.replicates:
            interval = percentile_interval(self._resampled(scores, target))
            low, high = interval.low.tolist(), interval.high.tolist()
        rows = _rows("eer", values, n, low, high)
        for (name, prior), cost, fewest in zip(PRIORS.items(), found.costs, found.fewest, strict=True):
            rows += _rows(name, cost.tolist(), n, *self._of_cost(scores, prior, cost, fewest))
        folded = zip(*map(_folded, low, high), strict=True)
        return rows + _rows("eer_effective", map(effective_eer, values), n, *folded)

    def _resampled(self, scores: Tensor, target: Tensor) -> Tensor:
        """The EER of every key and replicate, ``(keys, replicates)``."""
        if scores.device.type == "cpu":
            return resampled_eer(scores, target, self._shares)
        return eer(scores, target, self._weights)

    def _of_cost(self, scores: Tensor, prior: float, cost: Tensor, fewest: Tensor) -> list[list[float]]:
        """Ends of each key's interval of minDCF; NaN where there are too few errors, or speakers, to trust one."""
        ends = torch.full((2, len(scores)), float("nan"), dtype=torch.float64)
        enough = fewest >= RULE_OF_30
        if self.replicates and len(np.unique(self.speakers)) >= RULE_OF_SPEAKERS and bool(enough.any()):
            target = self.target.to(scores.device)
            replicates = min_dcf(scores[enough], target, self._weights, p_target=prior)
            ends[:, enough.cpu()] = torch.stack(basic_interval(replicates, cost[enough])).clamp(0, 1)
        return ends.tolist()

    def _of_groups(self, scores: Tensor) -> Iterable[tuple[str, list[float], int]]:
        """EER within each gender, and of the speaker whom a key protects least: name, values and trials."""
        target = self.target.to(scores.device)
        for gender, trials in self._by_gender.items():
            chosen = torch.from_numpy(trials).to(scores.device)
            yield GENDERS[gender], eer(scores[:, chosen], target[chosen]).tolist(), len(trials)
        if self._by_speaker:
            n = len(np.unique(np.concatenate([half for halves in self._by_speaker for half in halves])))
            yield "eer_least_protected", eer_of_least_protected(scores, target, self._by_speaker).tolist(), n

    def _of_information(self, scores: Tensor) -> Iterable[tuple[str, list[float], int]]:
        """What the scores tell an adversary who calibrates them: name, values and trials."""
        values, target = scores.cpu().numpy(), self.target.numpy()
        halves = halves_of(self.speakers)
        if all(0 < target[half].sum() < half.sum() for half in halves):
            yield "cllr", calibrated_cllr(values, target, halves).tolist(), int((halves[0] | halves[1]).sum())
        found = [
            (cllr_min(plain), expected_disclosure(plain), worst_disclosure(laplace))
            for plain, laplace in pools_of_keys(values, target)
        ]
        for name, column in zip(("cllr_min", "d_ece", "worst_llr"), zip(*found, strict=True), strict=True):
            yield name, list(column), len(target)
        if bins_of(int(target.sum())) > 1:
            yield "d_sys", linkability(values, target).tolist(), len(target)

    def outputs(self, answers: Answers, scores: Tensor, start: int) -> pd.DataFrame:
        """Return a row per key with the scores of all trials; the first key has index ``start``."""
        import pandas as pd  # only runs that keep outputs need it: the process of the self-checks starts sooner

        return pd.DataFrame({"key_index": range(start, start + len(scores)), "scores": list(scores.cpu().numpy())})

    def identity(self) -> dict[str, Any]:
        """Return what the scores depend on besides utterances and answers: the trials."""
        return {"trials": self.trials.digest()}

    def about(self) -> dict[str, Any]:
        """Return the sections of the manifest."""
        trials = self.trials
        about = {"target": trials.targets, "nontarget": trials.nontargets, "source": trials.source, **self.sessions}
        if trials.models:
            about["models"] = len(trials.models)
        return {"trials": about}

    def files(self) -> dict[str, str]:
        """Return the lists of trials and of enrolments, as they would be read again."""
        files = {"trials.txt": self.trials.lines()}
        if self.trials.models:
            files[ENROLMENT] = self.trials.enrolment_lines()
        return {name: "".join(f"{line}\n" for line in lines) for name, lines in files.items()}

    def summary(self) -> str:
        """Return what is asked, for the log."""
        models = f" of {len(self.trials.models)} enrolled speakers" if self.trials.models else ""
        return f"{len(self.utterances)} utterances, {len(self.trials):,} trials{models}"

    def prepare(self) -> None:
        """Draw the bootstrap weights; raises BadInput where there are too few speakers to resample."""
        if self.replicates:
            _ = self._shares

    @cached_property
    def target(self) -> Tensor:
        """``(trials,)`` bool: which trials are of one speaker."""
        return torch.from_numpy(self.trials.target)

    @cached_property
    def speakers(self) -> Indices:
        """``(trials, 2)`` speaker numbers of enrolment and test, for the bootstrap."""
        return np.stack([self.trials.enrolment_speaker, self.trials.test_speaker], axis=1)

    @cached_property
    def _by_gender(self) -> Mapping[str, Indices]:
        genders = {utterance.speaker: utterance.gender for utterance in self.utterances}
        return within_genders(self.trials.target, self.speakers, tuple(map(genders.get, self.trials.speakers)))

    @cached_property
    def _by_speaker(self) -> tuple[tuple[Indices, Indices], ...]:
        return halves_of_speakers(self.trials.target, self.speakers)

    @cached_property
    def _weights(self) -> Tensor:
        """Bootstrap weights ``(replicates, trials)``, the same for every key."""
        return self._drawn()

    @cached_property
    def _shares(self) -> NDArray[np.floating]:
        """The same weights as shares of their kind, ``(trials, replicates)``."""
        return shares_for_resampling(self.target, self._drawn())

    def _drawn(self) -> Tensor:
        return torch.from_numpy(speaker_weights(self.target, self.speakers, self.replicates, self.seed))


def _trials(config: SweepConfig, corpus: Corpus) -> Trials:
    if config.trials is None:
        return generate_trials(corpus, config.seed, config.same_gender, config.nontargets, config.sessions)
    if config.trials != "corpus":
        return read_trials(config.trials, corpus)
    brought = [corpus.root / name for name in ("trials.txt", "trials")]  # Kaldi folders have the latter
    return read_trials(next((path for path in brought if path.is_file()), brought[0]), corpus)


def _rows(
    name: str, values: Iterable[float], n: int, low: Iterable[float] = (), high: Iterable[float] = ()
) -> list[dict[str, Any]]:
    """A row for each key's value; without ends of intervals these are NaN."""
    values = list(values)
    none = [float("nan")] * len(values)
    ends = zip(list(low) or none, list(high) or none, strict=True)
    return [
        {"position": i, "metric": name, "value": value, "ci_low": start, "ci_high": stop, "n": n}
        for i, (value, (start, stop)) in enumerate(zip(values, ends, strict=True))
    ]


def _folded(low: float, high: float) -> tuple[float, float]:
    """An interval of the EER as one of the effective EER; up to 50 where 50 lies in it."""
    ends = effective_eer(low), effective_eer(high)
    return min(ends), 50.0 if low <= 50 <= high else max(ends)
