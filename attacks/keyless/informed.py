"""Informed adversaries: no key, a model that reads ciphertext. VoicePrivacy's three, and one of our own.

The adversary holds the public model and asks it about the victims' ciphertext; it is scored at the task. In
VoicePrivacy's words, by what he has beside it:

- *ignorant*: the victims' plain enrolment. He compares protected trials with it, the model as it is.
- *lazy-informed*: enrolment that is protected as the trials are, the model as it is. All users of the method share one
  key, so both sides are under the victims'.
- *semi-informed*: the same, and the model trained further on speech that he protects himself, with keys of his own.
- *same key*, which VoicePrivacy does not have: the model adapted on ciphertext of enrolled users whose names he knows,
  under the very key of the victims. He learns a matrix in front of the frozen model first, then more of the model.

Attackers whose training falls short make a protection look better than it is (Panariello et al., 2025): what is trained
is judged on people held out, and given up where these are not told apart better than before.

Tomashenko et al., "The VoicePrivacy 2022 Challenge Evaluation Plan", arXiv:2203.12468. Panariello et al., "The Risks
and Detection of Overestimated Privacy Protection in Voice Anonymisation", arXiv:2507.22534.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch

from wrongkey.attacks.base import BackgroundSpeech, Case, Evidence, Need, Recovery, Setting, Threat
from wrongkey.attacks.keyless.adaptive_front_end import Adapted, check_gradients, learn_front_end
from wrongkey.attacks.keyless.held_out_people import HeldOut, Judged, parted
from wrongkey.attacks.keyless.retraining import Retraining, Stage, Trained
from wrongkey.attacks.through_model.search import Plan
from wrongkey.errors import BadInput
from wrongkey.evaluation.models.protocol import Model
from wrongkey.keys import draw_keys
from wrongkey.keys.compatibility import keyed_weights

IGNORANT, LAZY, SEMI, SAME_KEY = "ignorant", "lazy-informed", "semi-informed", "same key"
NEEDS: Mapping[
    str, frozenset[Need]
] = {  # whoever has other people's speech plain and under the victims' key has the key
    IGNORANT: frozenset({"public model", "plain enrolment"}),
    LAZY: frozenset({"public model"}),
    SEMI: frozenset({"public model", "other speech"}),
    SAME_KEY: frozenset({"public model", "labelled ciphertext"}),
}
HELD_KEYS = 4  # under which held-out people are asked about: incorrect keys differ by some 5 points of EER
HELD_STREAM = 2**32  # beyond all steps' seeds: held-out keys are none that were trained on


@dataclass(frozen=True)
class Effort:
    """How much is trained: what keeps `informed` below some three minutes of one CPU core a case, with asv-raw3.

    searches: for a front end, some 25 s each; a second one from other starts tells whether the first was stuck.
    front_steps, layer_steps, whole_steps: at most, of the stages behind them; 0.1 s a step.
    runs: of the semi-informed, `own_steps` each, with seeds of their own.
    """

    searches: int = 2
    front_steps: int = 100
    layer_steps: int = 150
    whole_steps: int = 300
    runs: int = 2
    own_steps: int = 500
    plan: Plan | None = None


class Informed:
    """The public model as it is, or trained on ciphertext; scored at the task on the victims' ciphertext."""

    name = "informed"
    family = 8
    wants_key = False
    most_trials = 1  # it is scored on all victims at once, after minutes of training
    threat = Threat(
        "Asks the public model about ciphertext, as it is or trained on encrypted speech of people he knows by name.",
        frozenset({"public model", "other speech", "plain enrolment", "labelled ciphertext"}),
    )

    def __init__(self, effort: Effort | None = None) -> None:
        self.effort = effort or Effort()

    def inapplicable(self, setting: Setting) -> str | None:
        if setting.task not in ("asv", "asc"):
            return "It trains speaker and scene models; training a recogniser on ciphertext is not built."
        return None

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Nobody is enrolled where sounds are classified, so nobody is ignorant there."""
        variants = (IGNORANT, LAZY, SEMI, SAME_KEY) if setting.task == "asv" else (LAZY, SEMI, SAME_KEY)
        return [Case(variant=variant, needs=NEEDS[variant]) for variant in variants]

    def run(self, evidence: Evidence) -> Recovery:
        """A model for ciphertext.

        measured: held-out loss (nats) and error (percent) before and after training, the steps taken, and the step
        whose weights were kept (0: none but the front end, if that).

        Raises BadInput where there is nothing to train, where the model's answers carry no gradient, or where people
        are too few to hold some out.
        """
        variant = evidence.case.variant
        if evidence.public is None:
            raise BadInput("informed was given no model: it needs the public one.")
        if variant == IGNORANT:
            return Recovery(None, model=evidence.public, enrolment="plain")
        if variant == LAZY:
            return Recovery(None, model=evidence.public)
        semi = variant == SEMI
        speech = evidence.background if semi else evidence.enrolled
        if speech is None or not speech.queries:
            raise BadInput(f"informed, {variant}, was given no labelled speech to train on.")
        check_gradients(evidence.public, evidence.setting, speech.queries[0])
        train = self._semi_informed if semi else self._same_key
        return train(evidence.public, speech, evidence.setting, evidence.seed)

    def _semi_informed(self, public: Model, background: BackgroundSpeech, setting: Setting, seed: int) -> Recovery:
        """Every weight is trained, under a fresh key a batch. The best of several runs."""
        learned, held_out = parted(background, setting, seed)
        keys = draw_keys(setting.scheme, setting.size, seed + HELD_STREAM, 0, HELD_KEYS)
        held = HeldOut(public, held_out, setting, torch.from_numpy(keys))
        runs = []
        for number in range(self.effort.runs):
            model = copy.deepcopy(public)
            everything = [weight for weight in model.network.parameters() if weight.is_floating_point()]
            stage = Stage(everything, 1e-3, self.effort.own_steps, training=True)
            training = Retraining(model, setting, learned, held, own_keys=True)
            runs.append((training.run([stage], seed + number * 1_000_000), model))
        trained, model = min(runs, key=lambda run: run[0].after.loss)
        steps = sum(one.steps for one, _ in runs)
        return Recovery(None, model=model, objective=trained.after.loss, measured=_measured(trained, steps))

    def _same_key(self, public: Model, enrolled: BackgroundSpeech, setting: Setting, seed: int) -> Recovery:
        """A front end before the frozen model, the best of several searches; then more of the model with it."""
        learned, held_out = parted(enrolled, setting, seed)
        held = HeldOut(public, held_out, setting)
        maps = [np.eye(setting.size)]
        for number in range(self.effort.searches):
            maps.append(learn_front_end(public, setting, learned, seed + number, self.effort.plan)[0])
        tried = [
            (held.judge(cast(Model, model)), model) for model in (Adapted(public, setting.blocks, m) for m in maps)
        ]
        before, (front, model) = tried[0][0], min(tried, key=lambda one: one[0].loss)
        training = Retraining(cast(Model, model), setting, learned, held, own_keys=False)
        trained = training.run(self._stages(model), seed)
        measured = _measured(Trained(before, trained.after, trained.steps, trained.best), trained.steps)
        measured = {**measured, "held-out error of the front end alone": front.error}
        return Recovery(None, model=cast(Model, model), objective=trained.after.loss, measured=measured)

    def _stages(self, model: Adapted) -> list[Stage]:
        """The front end, free of its orthogonality; the first layer and the norms with it; everything.

        Rates fall as more is free to fit the few people that are known.
        """
        effort, network = self.effort, model.model.network
        layer = network.get_submodule(model.first_layer)
        kernels = [layer.get_parameter(name) for name in keyed_weights(layer)]
        norms = [weight for module in network.modules() if _is_norm(module) for weight in module.parameters()]
        everything = [weight for weight in model.network.parameters() if weight.is_floating_point()]
        return [
            Stage([model.front.map], 3e-3, effort.front_steps),
            Stage([model.front.map, *kernels, *norms], 1e-3, effort.layer_steps),
            Stage(everything, 3e-4, effort.whole_steps, training=True),
        ]


def _is_norm(module: torch.nn.Module) -> bool:
    return isinstance(module, torch.nn.modules.batchnorm._NormBase | torch.nn.LayerNorm | torch.nn.GroupNorm)


def _measured(trained: Trained, steps: int) -> Mapping[str, float]:
    """For the record: whether training converged, and to what."""

    def both(what: str, before: Judged, after: Judged) -> dict[str, float]:
        return {f"held-out {what} before": getattr(before, what), f"held-out {what} after": getattr(after, what)}

    return {
        **both("loss", trained.before, trained.after),
        **both("error", trained.before, trained.after),
        "steps": steps,
        "best step": trained.best,
    }
