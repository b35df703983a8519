"""What schemes are called on the board: their options in plain words, for readers who know the bases only."""

from wrongkey.keys.labels import scheme_label, taken_apart
from wrongkey.keys.spec import BASES, OPTIONS

WORDS = {  # of options whose label in a sweep's report is too short to be understood by itself
    "turns": "{} keys in turn",
    "signs": "secret signs of {} blocks",
    "order": "secret order of {} blocks",
    "schedule": "new key every {} s",
    "nonce": "key per utterance",
}


def plain_label(scheme: str, label: str) -> str:
    """A scheme's label with its options in plain words; that of a scheme of users stays.

    Parameters
    ----------
    scheme, label : str
        As a row of the board has them.

    Examples
    --------
    >>> plain_label("rom+schedule=1", "ROM, every 1 s"), plain_label("rom+nonce", "ROM, nonces")
    ('ROM, new key every second', 'ROM, key per utterance')
    >>> plain_label("mine:scheme", "mine")
    'mine'
    """
    spec = taken_apart(scheme)
    if spec.base not in BASES or scheme_label(scheme) != label:
        return label
    said = [(WORDS.get(option) or OPTIONS[option].label).format(value) for option, value in spec.options]
    return ", ".join([BASES[spec.base].label, *said]).replace("every 1 s", "every second")
