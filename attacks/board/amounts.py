"""Which amounts of ciphertext an attack is given: the most first, and less only where more broke something.

More ciphertext contains the less, so that what an attack cannot do with the most it cannot be expected to do with part
of it. Trials of a costly attack are spent where they can still tell something.
"""

from __future__ import annotations

from wrongkey.attacks.base import CompleteAttack
from wrongkey.attacks.harness.results import AttackFolder
from wrongkey.evaluation.run_folder.successes import broken, ended


def worth_less(attack: CompleteAttack, folder: AttackFolder, seconds: float) -> bool:
    """Whether an attack is to be tried with less ciphertext, after its trials with this much.

    Parameters
    ----------
    attack : CompleteAttack
        One without a key is scored on all victims at once, and tried with every amount.
    folder : AttackFolder
        What was run so far.
    seconds : float
        The amount of ciphertext of the last trials.

    Returns
    -------
    bool
        False where the attack takes no ciphertext by the second, and where no trial found the key or decrypted speech.
    """
    rows = folder.rows(attack.name)
    if rows.empty:
        return False
    with_this_much = ended(rows[rows["given_seconds"] == seconds])
    if not attack.wants_key:
        return not with_this_much.empty
    return bool(broken(with_this_much).any())
