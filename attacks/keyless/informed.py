"""Informed adversaries: no key, but a model that reads ciphertext. VoicePrivacy's three, and one more.

The adversary holds the public model and asks it about the victims' ciphertext; the answers are scored at the task. In
VoicePrivacy's words [1]_, by what they have beside it:

- *ignorant*: the victims' plain enrolment. Protected trials are compared with it, the model as it is.
- *lazy-informed*: enrolment that is protected as the trials are, the model as it is. All users of the method share one
  key, so both sides are under the victims'.
- *semi-informed*: the same, and the model trained further on speech that they protect with keys of their own.
- *same key*, which VoicePrivacy does not have: the model adapted on ciphertext of enrolled users whose names are known,
  under the very key of the victims. A matrix in front of the frozen model is learned first, then more of the model.

Attackers whose training falls short make a protection look better than it is [2]_: a trained model is judged on people
held out, and given up where it does not distinguish these better than before.

References
----------
.. [1] N. Tomashenko et al., "The VoicePrivacy 2022 Challenge Evaluation Plan", arXiv:2203.12468.
.. [2] M. Panariello et al., "The Risks and Detection of Overestimated Privacy Protection in Voice Anonymisation",
   arXiv:2507.22534.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import torch

from wrongkey.attacks.base import AttackDefaults, BackgroundSpeech, Case, Evidence, Need, Recovery, Setting, Threat
from wrongkey.attacks.keyless.adaptive_front_end import Adapted, check_gradients, learn_front_end
from wrongkey.attacks.keyless.held_out_people import HeldOut, Judged, training_sets
from wrongkey.attacks.keyless.retraining import Retraining, Stage, Trained
from wrongkey.attacks.keyless.settings import InformedSettings
from wrongkey.errors import BadInput
from wrongkey.evaluation.models.protocol import Model
from wrongkey.keys import draw_keys
from wrongkey.keys.compatibility import keyed_weights

IGNORANT, LAZY, SEMI, SAME_KEY = "ignorant", "lazy-informed", "semi-informed", "same key"
# No adversary has other people's speech both plain and under the victims' key: that would give the key away.
NEEDS: Mapping[str, frozenset[Need]] = {
    IGNORANT: frozenset({"public model", "plain enrolment"}),
    LAZY: frozenset({"public model"}),
    SEMI: frozenset({"public model", "other speech"}),
    SAME_KEY: frozenset({"public model", "labelled ciphertext"}),
}
HELD_STREAM = 2**32  # beyond the seeds of all steps: no held-out key is one that was trained on
DEFAULTS = InformedSettings()


class Informed(AttackDefaults):
    """The public model as it is, or trained on ciphertext; scored at the task on the victims' ciphertext."""

    name = "informed"
    family = 8
    wants_key = False
    most_trials = 1  # it is scored on all victims at once, after minutes of training
    threat = Threat(
        "Asks the public model about ciphertext, as it is or trained on encrypted speech of people known by name.",
        frozenset({"public model", "other speech", "plain enrolment", "labelled ciphertext"}),
    )

    def __init__(self, settings: InformedSettings = DEFAULTS) -> None:
        self.settings = settings

    def inapplicable(self, setting: Setting) -> str | None:
        """Recognisers are not trained."""
        if setting.task not in ("asv", "asc"):
            return "It trains speaker and scene models; training a recogniser on ciphertext is not built."
        return None

    def cases(self, setting: Setting) -> Sequence[Case]:
        """All four adversaries; where sounds are classified there is no enrolment, and so no ignorant one."""
        variants = (IGNORANT, LAZY, SEMI, SAME_KEY) if setting.task == "asv" else (LAZY, SEMI, SAME_KEY)
        return [Case(variant=variant, needs=NEEDS[variant]) for variant in variants]

    def run(self, evidence: Evidence) -> Recovery:
        """Return a model for ciphertext.

        measured: held-out loss (nats) and error (percent) before and after training, the steps taken, and the step
        whose weights were kept (0: none but the front end, if that).

        Raises BadInput where there is no model or nothing to train it on, where its answers carry no gradient, and
        where people are too few to hold some out.
        """
        variant = evidence.case.variant
        if evidence.public is None:
            raise BadInput("The attack informed needs the public model, and was given none.")
        if variant == IGNORANT:
            return Recovery(None, model=evidence.public, enrolment="plain")
        if variant == LAZY:
            return Recovery(None, model=evidence.public)
        semi = variant == SEMI
        speech = evidence.background if semi else evidence.enrolled
        if speech is None or not speech.queries:
            raise BadInput(f"The attack informed, {variant}, needs labelled speech to train on, and was given none.")
        check_gradients(evidence.public, evidence.setting, speech.queries[0])
        train = self._semi_informed if semi else self._same_key
        return train(evidence.public, speech, evidence.setting, evidence.seed)

    def _semi_informed(self, public: Model, background: BackgroundSpeech, setting: Setting, seed: int) -> Recovery:
        """Every weight is trained, under a fresh key a batch. The best of several runs."""
        settings = self.settings
        learned, held_out = training_sets(background, setting, seed, settings.held_out)
        keys = draw_keys(setting.scheme, setting.size, seed + HELD_STREAM, 0, settings.held_keys)
        held = HeldOut(public, held_out, setting, settings, torch.from_numpy(keys))
        runs = []
        for number in range(settings.runs):
            model = copy.deepcopy(public)
            everything = [weight for weight in model.network.parameters() if weight.is_floating_point()]
            stage = Stage(everything, settings.own_rate, settings.own_steps, training=True)
            training = Retraining(model, setting, learned, held, True, settings)
            runs.append((training.run([stage], seed + number * 1_000_000), model))
        trained, model = min(runs, key=lambda run: run[0].after.loss)
        steps = sum(one.steps for one, _ in runs)
        return Recovery(None, model=model, objective=trained.after.loss, measured=_measured(trained, steps))

    def _same_key(self, public: Model, enrolled: BackgroundSpeech, setting: Setting, seed: int) -> Recovery:
        """A front end before the frozen model, the best of several searches; then more of the model with it."""
        settings = self.settings
        learned, held_out = training_sets(enrolled, setting, seed, settings.held_out)
        held = HeldOut(public, held_out, setting, settings)
        maps = [np.eye(setting.size)]
        for number in range(settings.searches):
            maps.append(learn_front_end(public, setting, learned, seed + number, settings))
        models = [Adapted(public, setting.blocks, map) for map in maps]
        judged = [held.judge(cast(Model, model)) for model in models]
        before, (front, model) = judged[0], min(zip(judged, models, strict=True), key=lambda pair: pair[0].loss)
        training = Retraining(cast(Model, model), setting, learned, held, False, settings)
        trained = training.run(self._stages(model), seed)
        measured = _measured(Trained(before, trained.after, trained.steps, trained.best), trained.steps)
        measured = {**measured, "held-out error of the front end alone": front.error}
        return Recovery(None, model=cast(Model, model), objective=trained.after.loss, measured=measured)

    def _stages(self, model: Adapted) -> list[Stage]:
        """The front end, free of its orthogonality; the first layer and the norms with it; everything.

        Rates fall as more is free to fit the few people that are known.
        """
        settings, network = self.settings, model.model.network
        layer = network.get_submodule(model.first_layer)
        kernels = [layer.get_parameter(name) for name in keyed_weights(layer)]
        norms = [weight for module in network.modules() if _is_norm(module) for weight in module.parameters()]
        everything = [weight for weight in model.network.parameters() if weight.is_floating_point()]
        return [
            Stage([model.front.map], settings.front_rate, settings.front_steps),
            Stage([model.front.map, *kernels, *norms], settings.layer_rate, settings.layer_steps),
            Stage(everything, settings.whole_rate, settings.whole_steps, training=True),
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
