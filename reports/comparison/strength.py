"""How well the error of a key can be predicted in two runs, where `wrongkey analyse keys` was run on both.

It decides nothing: who foretells errors well orders the same keys, and the counts of `compare` are over all of them.
"""

from pathlib import Path

from wrongkey.reports.analyses import Analysis, find_analyses


def key_analysis(folder: Path) -> Analysis | None:
    """The analysis of a run's keys, in its own folder; None where there is none."""
    return next((one for one in find_analyses([folder]) if one.name == "keys" and one.folder == folder), None)


def strength(folder_a: Path, folder_b: Path) -> tuple[str, ...]:
    """Sentences that set the analyses of A's and B's keys side by side; none where either is missing."""
    a, b = key_analysis(folder_a), key_analysis(folder_b)
    if a is None or b is None:
        return ()
    of_a, of_b = ({str(one["from"]).strip(","): one for one in found.about.get("prediction") or []} for found in (a, b))
    lines = [
        f"Errors of keys predicted from {source}: rank correlation {_correlation(of_a[source])} in A, "
        f"{_correlation(of_b[source])} in B."
        for source in of_a
        if source in of_b
    ]
    if a.strongest and b.strongest:
        left, right = (f"“{best['label']}” ({best['correlation']:.2f})" for best in (a.strongest, b.strongest))
        lines.append(f"The measure that orders the errors of keys best: {left} in A, {right} in B.")
    return tuple(lines)


def _correlation(found: dict[str, float]) -> str:
    return f"{found['rho']:.2f} [{found['low']:.2f}, {found['high']:.2f}]"
