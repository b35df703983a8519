"""Which attacks of the suite can apply to a row, as far as its scheme, its blocks and its task say it.

What a model's layers decide is left to the attack. The attacks themselves say all of it (`Attack.inapplicable`), but
need torch to be asked; tests hold this table against them.
"""

from wrongkey.keys.blocks import Blocks
from wrongkey.reports.board.joining import Place

_SPECTROGRAMS = frozenset({Blocks.TILES, Blocks.FRAMES})
BLOCKS = {
    "sign-chain": frozenset({Blocks.SAMPLES}),
    "sample-order": frozenset({Blocks.SAMPLES}),
    "polyphase": frozenset({Blocks.SAMPLES}),
    "linear-prediction": frozenset({Blocks.SAMPLES}),
    "spectrogram-moments": _SPECTROGRAMS,
    "shifted-kernels": frozenset({Blocks.SAMPLES, Blocks.TILES}),
}
OTHER_SCHEMES = {  # the paper's schemes that an attack is not after
    "sign-chain": frozenset({"rom", "shuffling"}),
    "sample-order": frozenset({"rom", "flipping"}),
    "polyphase": frozenset({"shuffling", "flipping"}),
    "linear-prediction": frozenset({"shuffling", "flipping"}),
}
TASKS = {"linkability": frozenset({"asv"}), "informed": frozenset({"asv", "asc"})}


def may_apply(attack: str, place: Place) -> bool:
    """Whether nothing that the row says rules the attack out."""
    return (
        place.blocks in BLOCKS.get(attack, frozenset(Blocks))
        and place.scheme not in OTHER_SCHEMES.get(attack, frozenset())
        and (not place.task or place.task in TASKS.get(attack, {place.task}))
    )
