"""What may be tuned in the attack `informed`."""

from __future__ import annotations

from dataclasses import dataclass

from wrongkey.attacks.through_model.settings import SearchSettings


@dataclass(frozen=True)
class InformedSettings(SearchSettings):
    """How much is trained, beside the settings of the search for a front end.

    The numbers keep `informed` below about three minutes of one CPU core a case, with asv-raw3.

    Attributes
    ----------
    held_out : float
        Share of the people, or of the clips, that is held out: 17 of 67 people make about 90 pairs of one voice and
        1,700 of two.
    held_keys : int
        Keys under which held-out people are asked about: incorrect keys differ by about 5 points of EER.
    searches : int
        Searches for a front end, which take about 25 s each. A second one from other starts shows whether the first was
        stuck.
    utterances : int
        Most utterances that such a search asks about. Every start is compared on all of them, which takes 0.3 s.
    front_steps, layer_steps, whole_steps : int
        Most steps of training the front end alone, the first layer and the norms with it, and everything. A step takes
        0.1 s.
    front_rate, layer_rate, whole_rate : float
        Adam's rate in these stages.
    runs : int
        Runs of the semi-informed, with seeds of their own.
    own_steps : int
        Steps of such a run.
    own_rate : float
        Adam's rate in it.
    people : int
        People of a batch.
    of_a_person : int
        Pieces of each of them. 36 pieces of 2 s take 0.1 s of a CPU core with asv-raw3, forward and backward.
    warm_up : int
        Steps until Adam's rate is at its full value, since its second moments are unknown at first.
    check : int
        Steps between two evaluations on the held-out people. An evaluation takes about as long as five steps.
    patience : int
        Evaluations without a new best before a stage ends.
    decay : float
        Weight decay, the one with which the bundled models were trained.
    """

    held_out: float = 1 / 4
    held_keys: int = 4
    searches: int = 2
    utterances: int = 120
    front_steps: int = 100
    front_rate: float = 3e-3
    layer_steps: int = 150
    layer_rate: float = 1e-3
    whole_steps: int = 300
    whole_rate: float = 3e-4
    runs: int = 2
    own_steps: int = 500
    own_rate: float = 1e-3
    people: int = 12
    of_a_person: int = 3
    warm_up: int = 20
    check: int = 25
    patience: int = 6
    decay: float = 0.02
