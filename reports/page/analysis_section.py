"""The section of the report about analyses: sentences, figures and tables by kind."""

from collections.abc import Iterator, Sequence
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

from wrongkey.reports.analyses import Analysis, decryption_table, group_table, prediction_table, rows_table
from wrongkey.reports.figures.analyses import (
    correlation_figure,
    distance_figure,
    example_figure,
    near_figure,
    scatter_figure,
)
from wrongkey.reports.tables import to_html
from wrongkey.reports.verdicts import EVIDENCE, UNKNOWN_EVIDENCE

HEADINGS = {
    "keys": "Which incorrect keys work",
    "decryption": "How close a key must be",
    "phase": "Phase reconstruction from encrypted spectrograms",
    "leaks": "What encrypted speech shows without any key",
}
NOTES = {
    "keys": "Errors are EER, WER, CER or 100 - accuracy. Low- and high-error keys: the quarter of the incorrect keys "
    "with the least and with the largest error. Brackets: 95 % bootstrap intervals over keys, of a distance its "
    "quartiles. Predicted: ridge regression of ranks, each tenth of the keys from the others. The second moments of "
    "ciphertext need no key; every other measure, and the entries of the relative key, need the correct one.",
    "decryption": "Medians over keys, range in parentheses; of SNR and STOI over utterances too. Key error: ‖K′ - K‖ "
    "over ‖K‖. A geodesic step goes from the correct key in a random direction; elements are swapped, and signs "
    "flipped, in the decrypted block. STOI is measured on the query as it is encrypted, with a model’s pre-emphasis.",
    "phase": "Medians over utterances, quartiles in brackets. Spectral convergence: of the reconstruction against the "
    "plain spectrogram; silence scores 0 dB, and lower is closer. Consistency: the same against the spectrogram "
    "that the method was given. Encrypted, incorrect, correct: reconstructed from the ciphertext, and decrypted with "
    "an incorrect key or the correct one. Energies: from the root mean square of each block alone, which no orthogonal "
    "key hides. Deviation: of the correctly decrypted spectrogram from the plain one. EER: of the reconstructions "
    "against their speakers’ plain speech.",
    "leaks": "Medians over utterances, quartiles in brackets; nothing here uses a key. Energy contour and rhythm: "
    "correlation with plain speech. Speech activity: balanced accuracy of a detector on ciphertext. Chance: against "
    "another utterance. Linking: deciding whether two ciphertexts are of one speaker, all under one key, or each under "
    "a key of its own; 50 % is chance, lower leaks more. Quietest fifth: a control, the quietest fifth of the 20 ms "
    "frames of each recording alone; their EER shows what a recording tells about its speaker without much voice. EER, "
    "WER and CER: of public models that are given the ciphertext.",
}
Drawn = tuple[str, tuple[str, str, Figure]]


def analysis_figures(analyses: Sequence[Analysis]) -> Iterator[Drawn]:
    """(kind of analysis, (file name, caption, figure)) of everything that can be drawn."""
    keys = [analysis for analysis in analyses if analysis.name == "keys"]
    if figure := distance_figure(keys):
        caption = (
            "Distance between the speech under the correct key and under an incorrect one, for the keys that work best "
            "and those that work worst (the paper’s Fig. 10). Bars: middle half of the keys; dot: median."
        )
        yield "keys", ("analysis-distance", caption, figure)
    if figure := correlation_figure(keys):
        caption = (
            "What orders the errors of incorrect keys: rank correlation of each measure, with its 95 % "
            "interval over keys. Positive: the larger the measure, the larger the error, and the better the protection."
        )
        yield "keys", ("analysis-correlations", caption, figure)
    if figure := scatter_figure(keys):
        caption = (
            "Every incorrect key: its error against the distance of the paper’s Fig. 10, and against the measure that "
            "orders the errors best. Titles: rank correlation; of the best measure on the half of the keys that did "
            "not choose it (“other half”), or on the same keys that chose it, which is optimistic."
        )
        yield "keys", ("analysis-scatter", caption, figure)
    near = [analysis for analysis in analyses if analysis.name == "decryption"]
    for number, task in enumerate(dict.fromkeys(str(analysis.about.get("metric")) for analysis in near)):
        same = [analysis for analysis in near if str(analysis.about.get("metric")) == task]
        if figure := near_figure(same):
            caption = (
                "Decryption, and the encrypted model’s score, with keys near the correct one. Lines: median over "
                "random directions of geodesic steps, with their range."
            )
            yield "decryption", (f"analysis-near-keys{f'-{number + 1}' if number else ''}", caption, figure)
    for number, analysis in enumerate(near):
        if figure := example_figure(analysis):
            caption = f"{analysis.label}: one utterance, encrypted, and decrypted with one key of each kind (Fig. 7)."
            yield "decryption", (f"analysis-decryption-{number + 1}", caption, figure)


def analysis_context(analyses: Sequence[Analysis], plates: Sequence[tuple[str, Any]]) -> list[dict[str, Any]]:
    """What the template shows for each kind; plates: (kind, figure of the page)."""
    found = []
    for kind, heading in HEADINGS.items():
        some = [analysis for analysis in analyses if analysis.name == kind]
        if some:
            found.append(
                {
                    "heading": heading,
                    "verdicts": [_verdict(analysis) for analysis in some],
                    "plates": [plate for name, plate in plates if name == kind],
                    "tables": list(_tables(kind, some)),
                    "note": NOTES[kind],
                    "commands": [str(a.about["command"]) for a in some if a.about.get("command")],
                }
            )
    return found


def _verdict(analysis: Analysis) -> dict[str, Any]:
    doubt = "" if analysis.recordings == "real" else EVIDENCE.get(analysis.recordings, UNKNOWN_EVIDENCE)
    cautions = filter(None, (doubt, *analysis.cautions))
    return {"label": analysis.label, "sentences": analysis.sentences, "caution": " ".join(cautions)}


def _tables(kind: str, analyses: Sequence[Analysis]) -> Iterator[tuple[str, Markup]]:
    """(heading, table): one for all runs where keys were measured, else one for each run."""
    if kind == "keys":
        yield "Distance to the correct key", Markup(to_html(group_table(analyses)))
        predicted = prediction_table(analyses)
        if predicted is not None:
            yield "Can the error be predicted?", Markup(to_html(predicted))
        return
    for analysis in analyses:
        table = decryption_table(analysis) if kind == "decryption" else rows_table(analysis)
        yield analysis.label, Markup(to_html(table))
