"""Attack 6: a key learned from other people's plain speech, with which the encrypted model works.

The provider holds the encrypted model and can differentiate through it. He looks for the key `K̂` under which it suits
speech that he knows: voices told apart (or, without labels, two pieces of one utterance alike), sounds classified,
and the moments before batch norms as they were in training. A key has few unknowns beside a model, N(N - 1)/2, and no
ciphertext of a victim is needed. What is found makes the model usable. It need not be the key: where the model hardly
hears the difference, neither does this attack.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from wrongkey.attacks.base import BackgroundSpeech, Case, Evidence, Matrix, Recovery, Setting, Threat
from wrongkey.attacks.through_model.answer_loss import answer_loss, works
from wrongkey.attacks.through_model.criterion import KeyCriterion, covariance, criterion_of, halves, parted
from wrongkey.attacks.through_model.keyed_answers import FUNCTIONS, KeyedAnswers
from wrongkey.attacks.through_model.search import Found, Plan, guesses, plan_for, search_finite, search_orthogonal
from wrongkey.errors import BadInput
from wrongkey.evaluation.answers import as_hypothesis
from wrongkey.evaluation.models.asking import answer_function
from wrongkey.evaluation.models.protocol import Hypothesis, Model
from wrongkey.keys import encrypt_query
from wrongkey.keys.schemes import SCHEMES

UNLABELLED, NO_NORMS = "no labels", "no batch norms"  # variants
COMPARED = 40  # random keys whose held-out losses the key found must beat
FINITE = ("shuffling", "flipping")


class LearnedKey:
    """Gradient descent on the key, through the encrypted model.

    start: another attack's estimate of the key from the same evidence, or None; descents begin there, too.
    plan: how long it looks; None takes `plan_for` the size of the key.
    """

    name = "learned-key"
    family = 6
    most_trials = 2  # a descent through the model takes a minute
    threat = Threat(
        "Holds the encrypted model, as the provider does, and has other people's plain speech.",
        frozenset({"encrypted model", "other speech"}),
    )

    def __init__(self, start: Callable[[Evidence], Matrix | None] | None = None, plan: Plan | None = None) -> None:
        self.start, self.plan = start, plan

    def inapplicable(self, setting: Setting) -> str | None:
        """Needs numbers to learn from: a recogniser that gives texts alone has none."""
        if setting.model is None or setting.task is None:
            return "it needs a model to learn through"
        if not hasattr(setting.model, FUNCTIONS[setting.task]):
            return f"{setting.model.name} gives no numbers to learn from: it has no {FUNCTIONS[setting.task]}"
        return None

    def cases(self, setting: Setting) -> Sequence[Case]:
        if setting.task == "asr":
            return (Case(),)
        return (Case(), Case(variant=UNLABELLED))

    def run(self, evidence: Evidence) -> Recovery:
        """The key of least loss; believed where it works on held-out speech.

        Raises BadInput where there is too little speech, or where labels are not those of the model.
        """
        setting, background, variant = evidence.setting, evidence.background, evidence.case.variant
        if evidence.encrypted is None or background is None or setting.task is None:
            raise BadInput("Attack learned-key needs an encrypted model and other people's speech.")
        labelled = variant != UNLABELLED
        learned, held = parted(background, setting, evidence.seed)
        if setting.task == "asv" and not labelled:
            learned, held = halves(learned, setting), halves(held, setting)
        criterion = criterion_of(evidence.encrypted, setting, learned, labelled, variant != NO_NORMS)
        found = self._search(criterion, evidence, covariance(background.queries, setting))
        if setting.task == "asc" and not labelled:
            return Recovery(found.key, None, found.loss, note="without labels nothing tells whether the key works")
        scheme = setting.scheme if setting.scheme.monomial else SCHEMES["rom"]
        rivals = guesses(scheme, setting.size, evidence.seed, COMPARED - 1, None).numpy()
        ask, everything = asker(evidence.encrypted, setting, held), torch.arange(len(held.labels))
        loss, answers = answer_loss(setting, held.labels), ask(found.key[None])
        random = np.concatenate([loss(ask(key[None]), everything) for key in rivals])
        return Recovery(
            key=found.key,
            success_claimed=works(setting, held.labels, answers, everything, random, evidence.seed),
            objective=found.loss,
            measured={
                "held-out loss": float(loss(answers, everything)[0]),
                "least held-out loss of a random key": float(random.min()),
            },
        )

    def _search(self, criterion: KeyCriterion, evidence: Evidence, plain: torch.Tensor) -> Found:
        scheme, seed, plan = evidence.setting.scheme, evidence.seed, self.plan or plan_for(len(plain))
        if scheme.monomial:
            return search_finite(criterion, scheme, plain, seed, plan)
        start = self.start(evidence) if self.start is not None else None
        also = None if start is None else torch.from_numpy(start)[None]
        return search_orthogonal(criterion, plain, seed, plan, also)


def asker(encrypted: Model, setting: Setting, speech: BackgroundSpeech) -> Callable[[Matrix], object]:
    """What `Evidence.ask` would be: answers to the speech under keys, or texts."""
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
