"""The analyses of a report by kind, each led by one sentence."""

from collections.abc import Iterator, Mapping, Sequence

from wrongkey.reports.analyses import Analysis, decryption_table, group_table, prediction_table, rows_table
from wrongkey.reports.content.schema import Analysis as AnalysisFacts
from wrongkey.reports.content.schema import Figure, Sentence, Table
from wrongkey.reports.content.tables import as_table

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


def analyses(found: Sequence[Analysis], figures: Mapping[str, Sequence[Figure]]) -> list[AnalysisFacts]:
    """One for each kind that there is; figures: those of each kind, by the anchor of its section."""
    return [
        AnalysisFacts(
            anchor=f"analysis-{kind}",
            heading=heading,
            lead=lead(some[0]),
            sentences=[
                Sentence(label=one.label, sentence=" ".join(one.sentences), cautions=list(one.cautions)) for one in some
            ],
            figures=list(figures.get(f"analysis-{kind}", ())),
            tables=list(_tables(kind, some)),
            note=NOTES[kind],
            commands=[command for one in some if (command := str(one.about.get("command") or ""))],
        )
        for kind, heading in HEADINGS.items()
        if (some := [analysis for analysis in found if analysis.name == kind])
    ]


def lead(analysis: Analysis) -> str:
    """The result of an analysis in one sentence; "" where it has none."""
    best = analysis.strongest if analysis.name == "keys" else None
    if best and None not in (best["correlation"], best["low"], best["high"]):
        named = next(entry["label"] for entry in analysis.measures if entry["name"] == best["name"])
        how = "on the keys that did not choose it" if best["held_out"] else "on the keys that chose it"
        return (
            f"{analysis.label}: of {len(analysis.measures)} measures of a key, “{named}” orders the errors best, "
            f"with a rank correlation of {best['correlation']:.2f} [{best['low']:.2f}, {best['high']:.2f}] {how}."
        )
    return f"{analysis.label}: {analysis.sentences[0]}" if analysis.sentences else ""


def _tables(kind: str, some: Sequence[Analysis]) -> Iterator[Table]:
    """One table for all runs where keys were measured, else one for each run."""
    if kind == "keys":
        yield as_table(group_table(some), "Distance to the correct key")
        predicted = prediction_table(some)
        if predicted is not None:
            yield as_table(predicted, "Can the error be predicted?")
        return
    for analysis in some:
        table = decryption_table(analysis) if kind == "decryption" else rows_table(analysis)
        yield as_table(table, f"{HEADINGS[kind]}: {analysis.label}")
