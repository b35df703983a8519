"""The paper's experiments that `wrongkey reproduce` repeats: what each one asks, in one line each.

Imports nothing heavy on purpose: the command line reads this before it loads anything else.
"""

from dataclasses import dataclass

from wrongkey.keys.labels import PAPER


@dataclass(frozen=True)
class PaperExperiment:
    """One table or figure of the paper.

    name: on the command line.  source: as the paper calls it.  title: what it measures.
    task, variant, blocks, metric: as in a sweep's configuration and scores; the variant by default.
    block_sizes: the paper's M.  keys: incorrect keys by default, the paper's number where it gives one.
    schemes: the paper's.
    form: "conditions" (plain, correct and incorrect keys by scheme), "block sizes" (M by scheme), "distribution", or
        "distances" (of weak and strong keys of the same sweeps).
    sweeps: the experiment whose sweeps it takes, by default its own.
    """

    name: str
    source: str
    title: str
    task: str
    variant: str
    blocks: str
    metric: str
    block_sizes: tuple[int, ...]
    keys: int
    schemes: tuple[str, ...] = PAPER
    form: str = "conditions"
    sweeps: str = ""

    @property
    def variants(self) -> tuple[str, ...]:
        """Threat variants that may be meant: two for verification, as the paper does not say how speakers enrol."""
        return ("both", "test") if self.task == "asv" else (self.variant,)


EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        PaperExperiment("table1", "Table I", "EER by key, ASV", "asv", "both", "samples", "eer", (10,), 5),
        PaperExperiment("table2", "Table II", "WER by key, ASR", "asr", "both", "tiles", "wer", (3,), 5),
        PaperExperiment("table3", "Table III", "accuracy by key, ASC", "asc", "both", "tiles", "accuracy", (8,), 5),
        PaperExperiment(
            "table4", "Table IV", "WER of encrypted waveforms into the plain model", "asr", "waveform", "samples",
            "wer", (5, 10, 20, 128), 5, form="block sizes",
        ),
        PaperExperiment(
            "fig9", "Fig. 9", "EER over incorrect keys, ASV", "asv", "both", "samples", "eer",
            (3, 5, 10), 1000, ("rom",), "distribution",
        ),
        PaperExperiment(
            "fig10", "Fig. 10", "distance of keys with low and with high EER, ASV", "asv", "both", "samples", "eer",
            (3, 5, 10), 1000, ("rom",), "distances", "fig9",
        ),
        PaperExperiment(
            "fig11", "Fig. 11", "WER of encrypted waveforms into the plain model", "asr", "waveform", "samples",
            "wer", (3, 5, 10), 100, ("rom",), "distribution",
        ),
    )
}  # fmt: skip


@dataclass(frozen=True)
class SpeechExperiment:
    """One figure of the paper that shows speech, which needs no model.

    analysis: "leaks" or "phase", which keeps what is drawn.  schemes, blocks, block_sizes: the paper's.
    """

    name: str
    source: str
    title: str
    analysis: str
    schemes: tuple[str, ...]
    blocks: str
    block_sizes: tuple[int, ...]


SPEECH = {
    experiment.name: experiment
    for experiment in (
        SpeechExperiment(
            "fig3", "Fig. 3", "waveforms encrypted by Shuffling", "leaks", ("shuffling",), "samples", (10, 128)
        ),
        SpeechExperiment(
            "fig4", "Fig. 4", "waveforms encrypted by Flipping and ROM", "leaks", ("flipping", "rom"), "samples",
            (10, 128),
        ),
        SpeechExperiment(
            "fig5", "Fig. 5", "spectrograms encrypted by Shuffling", "leaks", ("shuffling",), "tiles", (8, 32)
        ),
        SpeechExperiment(
            "fig6", "Fig. 6", "spectrograms encrypted by Flipping and ROM", "leaks", ("flipping", "rom"), "tiles",
            (8, 32),
        ),
        SpeechExperiment(
            "fig7", "Fig. 7", "decryption with the correct, near and incorrect keys", "phase", ("rom",), "tiles", (3,)
        ),
        SpeechExperiment("fig8", "Fig. 8", "phase reconstruction", "phase", ("rom",), "tiles", (3,)),
    )
}  # fmt: skip
