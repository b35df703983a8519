"""What a reader must know beside the answer of `compare`: how else the two runs differ, and what they lack."""

from pathlib import Path

from wrongkey.printable import printable
from wrongkey.reports.comparison.attack_gains import Attacked, attack_of
from wrongkey.reports.comparison.gain_of_shares import Share
from wrongkey.reports.comparison.gate import FEWEST, Protection
from wrongkey.reports.statistics.key_statistics import KeyStatistics

FEW_KEYS = 30


def warnings(
    a: KeyStatistics, b: KeyStatistics, of_a: Protection, of_b: Protection, same_speakers: bool, margin: float
) -> list[str]:
    """Sentences about differences between two runs, and about what either lacks.

    margin: of attacks, as a share of trials.
    """
    sentences = []
    for what, left, right in (
        ("model", a.run.model, b.run.model),
        ("corpus", a.run.corpus, b.run.corpus),
        ("way to cut blocks", a.run.blocks, b.run.blocks),
    ):
        if left != right:
            sentences.append(f"The {what} differs: {left} in A, {right} in B.")
    contents = ("weights", "weights"), ("corpus content", "corpus"), ("trials", "trials")
    for what, key in (*contents, ("text normalisation", "text")):
        left, right = (str(run.section("identity").get(key)) for run in (a.run, b.run))
        named = {"weights": a.run.model != b.run.model, "corpus": a.run.corpus != b.run.corpus}.get(key, False)
        if left != right and not named:
            sentences.append(f"The {what} differ{'s' if key in ('corpus', 'text') else ''} between A and B.")
    if not same_speakers and a.run.task != "asv":
        sentences.append("The intervals of this task are over utterances: other speakers may differ by more.")
    for name, result, protection, other in (("A", a, of_a, of_b), ("B", b, of_b, of_a)):
        sentences += [f"{name}: {caution}" for caution in result.run.cautions]
        if not result.run.finished:
            sentences.append(f"{name} is {result.run.state}.")
        if result.n < FEW_KEYS and not result.run.exhaustive:
            keys = f"{result.n} key{'s' if result.n != 1 else ''}"
            rough = "too few to show anything" if result.n < FEWEST else "too few to see weak ones"
            sentences.append(f"{name} has only {keys}: {rough}.")
        if result.plain is None:
            sentences.append(f"{name} has no score of the plain model: its weak keys cannot be identified.")
        if protection.blind:
            sentences.append(
                f"{name} has no intervals over speakers, or too few of them: nothing is shown about other speakers."
            )
        sentences += attack_warnings(name, result.run.folder, protection.attacked, other.attacked, margin)
    if a.n != b.n:
        sentences.append(
            f"A has {a.n:,} keys and B {b.n:,}: the best wrong keys are compared at {min(a.n, b.n):,} keys each."
        )
    return sentences


def attack_warnings(name: str, folder: Path, attacked: Attacked, other: Attacked, margin: float) -> list[str]:
    """Sentences about the attacks of a run (`name`: "A" or "B"): trials that failed, and what it lacks."""
    sentences = []
    for case, failed in attacked.failed.items():
        trials = f"{failed} trial{'s' if failed != 1 else ''}"
        counts = "do not count" if failed != 1 else "does not count"
        sentences.append(f"{name}: {trials} of {case} failed with an exception and {counts}.")
    return sentences + _missing(name, folder, attacked, other, margin)


def _missing(name: str, folder: Path, attacked: Attacked, other: Attacked, margin: float) -> list[str]:
    """Which attacks a run lacks, what they did to the other one, and the command that makes them."""
    lacking = attacked.lacks(other)
    if not lacking:
        return []
    named = []
    for one in lacking:
        share = other.shares.get(one)
        more = ", shown to be more than the margin" if share and share.low > margin else ""
        named.append(one + (f" ({_trials(share)} on {_OTHER[name]}{more})" if share else ""))
    lacks = f"{name} lacks attacks, and nothing is shown without them: {'; '.join(named)}."
    attacks = dict.fromkeys(attack for attack in map(attack_of, lacking) if attack not in attacked.obstacles)
    never = dict.fromkeys(attack for attack in map(attack_of, lacking) if attack in attacked.obstacles)
    sentences = [lacks, *(f"The attack {attack} does not apply to {name}." for attack in never)]
    if attacks:
        like = f", otherwise as for {_OTHER[name]}: {other.command}" if other.command else ""
        sentences.append(
            f"Run wrongkey attack {','.join(attacks)} --out {printable(folder)}{like}. "
            "An attack that does not apply is recorded as such, and is then not missing."
        )
    return [" ".join(sentences)]


def _trials(share: Share) -> str:
    return f"{share.hits:,} of {share.n:,} trials"


_OTHER = {"A": "B", "B": "A"}
