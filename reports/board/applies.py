"""Which attacks of the suite can apply to a row, as far as its scheme, its blocks and its task say it.

What a model's layers decide is left to the attack. The attacks themselves say all of it (`Attack.inapplicable`), but
need torch to be asked; tests hold this table against them.
"""

from wrongkey.keys.blocks import Blocks
from wrongkey.keys.labels import taken_apart
from wrongkey.reports.board.joining import Place

_SPECTROGRAMS = frozenset({Blocks.TILES, Blocks.FRAMES})
BLOCKS = {
    "sign-chain": frozenset({Blocks.SAMPLES}),
    "sample-order": frozenset({Blocks.SAMPLES}),
    "signed-order": frozenset({Blocks.SAMPLES}),
    "block-pattern": frozenset({Blocks.SAMPLES}),
    "shared-samples": frozenset({Blocks.SAMPLES}),
    "polyphase": frozenset({Blocks.SAMPLES}),
    "polyphase-of-many": frozenset({Blocks.SAMPLES}),
    "oblique-polyphase": frozenset({Blocks.SAMPLES}),
    "linear-prediction": frozenset({Blocks.SAMPLES}),
    "independent-components": frozenset({Blocks.SAMPLES}),
    "spectrogram-moments": _SPECTROGRAMS,
    "shifted-kernels": frozenset({Blocks.SAMPLES, Blocks.TILES}),
}
# What the keys of a scheme are, by its base, and what kinds of keys an attack is after.
MOVED, TURNED, BOTH, CONTINUUM = "permutations", "signs", "signed permutations", "orthogonal matrices"
OTHER = "invertible matrices"
KINDS = {
    "shuffling": MOVED,
    "flipping": TURNED,
    "signed-shuffling": BOTH,
    "rom": CONTINUUM,
    "invertible": OTHER,
}
KEYS = {
    "sign-chain": frozenset({TURNED}),
    "sample-order": frozenset({MOVED}),
    "signed-order": frozenset({BOTH}),
    "shared-samples": frozenset({MOVED, TURNED, BOTH, CONTINUUM}),
    "polyphase": frozenset({CONTINUUM}),
    "polyphase-of-many": frozenset({CONTINUUM}),
    "oblique-polyphase": frozenset({OTHER}),
    "linear-prediction": frozenset({CONTINUUM}),
    "independent-components": frozenset({CONTINUUM}),
    "spectrogram-moments": frozenset({MOVED, TURNED, CONTINUUM}),
}
KEYLESS = frozenset({"linkability", "informed"})  # want no key, but many people under one, cut into segments
OF_MODEL = frozenset(
    {"public-model", "public-statistics", "shifted-kernels", "learned-key", "answers-only", "informed"}
)
OF_MANY = KEYLESS | {"polyphase-of-many"}  # need the ciphertext of many people under one key
RULED_OUT = {"nonce": OF_MANY | OF_MODEL, "schedule": OF_MODEL, "windows": OF_MANY}  # by options
OF_BLOCKS = frozenset({"known-plaintext", "chosen-plaintext"})  # of whatever a key multiplies together
# All that find keys that are not orthogonal.
OF_INVERTIBLE = KEYLESS | OF_BLOCKS | {"public-model", "oblique-polyphase", "block-pattern"}
TOGETHER = frozenset({"turns", "signs", "order"})  # blocks, which of tiles only those read
# Options: an attack on what they add.
ONLY_WITH = {"block-pattern": frozenset({"signs", "order"}), "shared-samples": frozenset({"windows"})}
SMALLEST = {"polyphase-of-many": 32}  # samples of a block
TASKS = {"linkability": frozenset({"asv"}), "informed": frozenset({"asv", "asc"})}


def may_apply(attack: str, place: Place) -> bool:
    """Whether nothing that the row says rules the attack out."""
    kind, options = kind_of(place.scheme), {option for option, _ in taken_apart(place.scheme).options}
    if kind is OTHER and attack not in OF_INVERTIBLE:
        return False
    if any(attack in RULED_OUT.get(option, ()) for option in options):
        return False
    if kind is not None and attack in ONLY_WITH and not options & ONLY_WITH[attack]:
        return False
    if place.blocks is Blocks.TILES and options & TOGETHER and attack not in OF_BLOCKS:
        return False
    return (
        place.blocks in BLOCKS.get(attack, frozenset(Blocks))
        and place.block_size >= SMALLEST.get(attack, 0)
        and (kind is None or kind in KEYS.get(attack, {kind}))
        and (not place.task or place.task in TASKS.get(attack, {place.task}))
    )


def kind_of(scheme: str) -> str | None:
    """What the keys of a scheme are; None of a user's own.

    Signs of blocks make signed permutations of permutations, and an order of blocks makes them of signs.
    """
    spec = taken_apart(scheme)
    kind, names = KINDS.get(spec.base), {option for option, _ in spec.options}
    if (kind is MOVED and "signs" in names) or (kind is TURNED and "order" in names):
        return BOTH
    return kind
