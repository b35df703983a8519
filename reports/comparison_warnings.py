"""What a reader must know beside the answer of `compare`: in what else the two runs differ, and what they lack."""

from reports.gate import FEWEST, Protection
from reports.statistics import KeyStatistics

FEW_KEYS = 30


def warnings(a: KeyStatistics, b: KeyStatistics, of_a: Protection, of_b: Protection, same_speakers: bool) -> list[str]:
    sentences = []
    for what, left, right in (
        ("model", a.run.model, b.run.model),
        ("corpus", a.run.corpus, b.run.corpus),
        ("threat variant", a.run.variant, b.run.variant),
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
            sentences.append(f"{name} has no score of the plain model: its weak keys cannot be told.")
        if protection.blind:
            sentences.append(f"{name} has no intervals over speakers, or too few of them: nothing is shown of others.")
        if alone := [attack for attack in protection.attacks if attack not in other.attacks]:
            sentences.append(f"Attacks on {name} alone are left out: {'; '.join(alone)}.")
    if a.n != b.n:
        sentences.append(
            f"A has {a.n:,} keys and B {b.n:,}: the worst keys are compared at {min(a.n, b.n):,} keys each."
        )
    return sentences
