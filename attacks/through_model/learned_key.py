"""Attack 6: a key learned from other people's plain speech, with which the encrypted model works.

The provider holds the encrypted model and can differentiate through it. They look for the key `K̂` under which it works
on speech that they know: voices are distinguished (or, without labels, two pieces of one utterance are alike), sounds
are classified, and the moments before batch norms are as they were in training. A key has few unknowns beside a model,
N(N - 1)/2, and no ciphertext of a victim is needed. The key that is found makes the model usable. It need not be the
correct one: where the model hardly notices the difference, neither does this attack.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from wrongkey.attacks.base import AttackDefaults, BackgroundSpeech, Case, Evidence, Matrix, Recovery, Setting, Threat
from wrongkey.attacks.through_model.answer_loss import answer_loss, works
from wrongkey.attacks.through_model.criterion import KeyCriterion, covariance, criterion_of, halves, probe_sets
from wrongkey.attacks.through_model.keyed_answers import FUNCTIONS, KeyedAnswers
from wrongkey.attacks.through_model.search import Best, guesses, plan_for, search_finite, search_orthogonal
from wrongkey.attacks.through_model.settings import LearnedKeySettings
from wrongkey.errors import BadInput
from wrongkey.evaluation.answers import as_hypothesis
from wrongkey.evaluation.models.asking import answer_function
from wrongkey.evaluation.models.protocol import Hypothesis, Model
from wrongkey.keys import encrypt_query

UNLABELLED, NO_NORMS = "no labels", "no batch norms"  # variants
DEFAULTS = LearnedKeySettings()


class LearnedKey(AttackDefaults):
    """Gradient descent on the key, through the encrypted model.

    Parameters
    ----------
    settings : LearnedKeySettings
        How long it looks, and when it accepts a key.
    start : callable, optional
        Another attack's estimate of the key from the same evidence, or None; descents begin there, too.
    """

    name = "learned-key"
    family = 6
    claims = "use"
    most_trials = 2  # a descent through the model takes a minute
    threat = Threat(
        "Holds the encrypted model, as the provider does, and has other people's plain speech.",
        frozenset({"encrypted model", "other speech"}),
    )

    def __init__(
        self,
        settings: LearnedKeySettings = DEFAULTS,
        start: Callable[[Evidence], Matrix | None] | None = None,
    ) -> None:
        self.settings, self.start = settings, start

    def inapplicable(self, setting: Setting) -> str | None:
        """Needs numbers to learn from: a recogniser that gives texts alone has none."""
        if setting.model is None or setting.task is None:
            return "It needs a model to learn through, and none was given."
        if not hasattr(setting.model, FUNCTIONS[setting.task]):
            return f"{setting.model.name} gives no numbers to learn from: it has no {FUNCTIONS[setting.task]}."
        return None

    def cases(self, setting: Setting) -> Sequence[Case]:
        """With labels, and without them where a task has any."""
        if setting.task == "asr":
            return (Case(),)
        return (Case(), Case(variant=UNLABELLED))

    def run(self, evidence: Evidence) -> Recovery:
        """Find the key of least loss; success is claimed where it works on held-out speech.

        Raises BadInput where there is no model or too little speech, or where labels are not those of the model.
        """
        setting, background, settings = evidence.setting, evidence.background, self.settings
        if evidence.encrypted is None or background is None or setting.task is None:
            raise BadInput("The attack learned-key needs the encrypted model and plain speech of other people.")
        labelled, norms = evidence.case.variant != UNLABELLED, evidence.case.variant != NO_NORMS
        learned, held = probe_sets(background, setting, evidence.seed, settings)
        if setting.task == "asv" and not labelled:
            learned, held = halves(learned, setting), halves(held, setting)
        criterion = criterion_of(evidence.encrypted, setting, learned, settings, labelled, norms)
        best = self._search(criterion, evidence, covariance(background.queries, setting))
        if setting.task == "asc" and not labelled:
            return Recovery(best.key, None, best.loss, note="without labels nothing tells whether the key works")
        rivals = guesses(setting.scheme, setting.size, evidence.seed, settings.compared - 1).numpy()
        ask, everything = asker(evidence.encrypted, setting, held), torch.arange(len(held.labels))
        loss, answers = answer_loss(setting, held.labels, settings), ask(best.key[None])
        random = np.concatenate([loss(ask(key[None]), everything) for key in rivals])
        return Recovery(
            key=best.key,
            success_claimed=works(setting, held.labels, answers, everything, random, evidence.seed, settings),
            objective=best.loss,
            measured={
                "held-out loss": float(loss(answers, everything)[0]),
                "least held-out loss of a random key": float(random.min()),
            },
        )

    def _search(self, criterion: KeyCriterion, evidence: Evidence, plain: torch.Tensor) -> Best:
        scheme, seed, plan = evidence.setting.scheme, evidence.seed, plan_for(len(plain), self.settings)
        if scheme.finite(len(plain)):
            return search_finite(criterion, scheme, plain, seed, plan)
        start = self.start(evidence) if self.start is not None else None
        also = None if start is None else torch.from_numpy(start)[None]
        return search_orthogonal(criterion, plain, seed, plan, also)


def asker(encrypted: Model, setting: Setting, speech: BackgroundSpeech) -> Callable[[Matrix], object]:
    """Return what `Evidence.ask` would be: answers to the speech under keys, or texts."""
    if setting.task == "asr":
        return lambda keys: [_heard(encrypted, setting, speech, key) for key in keys]
    answers = KeyedAnswers(encrypted, setting.task or "asv", speech.queries, setting.cut)

    @torch.no_grad()
    def ask(keys: Matrix) -> object:
        return answers(torch.from_numpy(keys)).answers

    return ask


@torch.no_grad()
def _heard(encrypted: Model, setting: Setting, speech: BackgroundSpeech, key: Matrix) -> list[Hypothesis]:
    transcribe = answer_function(encrypted, "asr")
    texts = []
    for query in speech.queries:
        pieces = encrypt_query(encrypted.segments(query.float()), key, blocks=setting.blocks)
        texts.append(Hypothesis(" ".join(as_hypothesis(text).text for text in transcribe(pieces))))
    return texts
