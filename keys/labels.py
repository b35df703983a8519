"""The family of schemes by name: in which order they are shown, and how people write them. Imports no torch.

A scheme is named BASE or BASE+OPTION[=VALUE]+…, such as "rom+turns=4".
"""

PAPER = ("shuffling", "flipping", "rom")  # in the paper's order
_BASES = {
    "shuffling": "Shuffling",
    "flipping": "Flipping",
    "rom": "ROM",
    "signed-shuffling": "Signed shuffling",
    "invertible": "Invertible",
}
FAMILY = tuple(_BASES)
_OPTIONS = {
    "turns": "{} in turn",
    "signs": "signs per {} blocks",
    "order": "order within {} blocks",
    "windows": "windows",
    "schedule": "new every {} s",
    "nonce": "nonce",
    "noise": "noise at {} dB",
    "flat": "flat to {} bins",
    "phase": "phase only",
}


def scheme_label(name: str) -> str:
    """The scheme as people write it; an unknown name as it is.

    Examples
    --------
    >>> scheme_label("rom+turns=4"), scheme_label("mine")
    ('ROM, 4 in turn', 'mine')
    """
    base, *options = name.split("+")
    return ", ".join([_BASES.get(base, base), *map(_option, options)])


def _option(text: str) -> str:
    option, _, value = text.partition("=")
    return _OPTIONS.get(option, text).format(value)
