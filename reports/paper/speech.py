"""A figure of the paper from analyses of our own: the figure, its caption, and what was measured beside it."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from wrongkey.errors import BadInput
from wrongkey.files import explained_errors, write_text_atomically
from wrongkey.reports.analyses import Analysis, group_table, rows_table
from wrongkey.reports.figures.style import save_figure
from wrongkey.reports.latex import to_latex
from wrongkey.reports.paper.experiments import PaperExperiment, SpeechExperiment
from wrongkey.reports.paper.figures import paper_figures
from wrongkey.reports.tables import markdown_text, to_csv, to_markdown
from wrongkey.reports.verdicts import EVIDENCE, UNKNOWN_EVIDENCE

LEAK = (
    "This figure shows speech that is of real people, or may be. A spectrogram can be turned back into speech: hand it "
    "out only where you may hand out the recording."
)


def write_figure(experiment: SpeechExperiment | PaperExperiment, analyses: Sequence[Analysis], folder: Path) -> str:
    """Write a figure of the paper beside the numbers of its analysis.

    Parameters
    ----------
    experiment : SpeechExperiment or PaperExperiment
        Figs. 3 to 8, or 10.
    analyses : sequence of Analysis
        Our analyses of it: one of speech, or one for each sweep.
    folder : Path
        Gets `<name>.md`, `.tex`, `.csv`, `.png`, `.svg` and `.pdf`.

    Returns
    -------
    str
        The Markdown.

    Raises
    ------
    BadInput
        If the analyses do not hold the figure, or the folder cannot be written.
    """
    drawn = next((one for one in paper_figures(analyses, real=True) if one.name == experiment.name), None)
    if drawn is None:
        raise BadInput(f"The analyses hold nothing that {experiment.source} shows: make them again.")
    speech = isinstance(experiment, SpeechExperiment)
    table = rows_table(analyses[0]) if speech else group_table(analyses)
    rows = pd.concat([one.rows.assign(run=one.label) for one in analyses], ignore_index=True)
    text = "\n".join(
        [
            f"# {experiment.source}: {experiment.title}\n",
            f"![{markdown_text(drawn.alt)}]({experiment.name}.svg)\n",
            f"{markdown_text(drawn.caption)}\n",
            to_markdown(table),
            *(f"{markdown_text(sentence)}\n" for sentence in _sentences(analyses, speech)),
        ]
    )
    with explained_errors(folder, "choose another --out"):
        folder.mkdir(parents=True, exist_ok=True)
        save_figure(drawn.figure, folder, experiment.name)
        write_text_atomically(folder / f"{experiment.name}.csv", to_csv(rows))
        write_text_atomically(folder / f"{experiment.name}.tex", to_latex(table, drawn.caption, experiment.name))
        write_text_atomically(folder / f"{experiment.name}.md", text.rstrip() + "\n")
    return text


def _sentences(analyses: Sequence[Analysis], speech: bool) -> list[str]:
    """What the recordings are evidence of, what follows, and that pictures of speech are speech."""
    found = []
    for analysis in analyses:
        if analysis.recordings != "real":
            found.append(EVIDENCE.get(analysis.recordings, UNKNOWN_EVIDENCE))
        found += analysis.sentences
    if speech and analyses[0].recordings != "synthetic":
        found.insert(0, LEAK)
    return list(dict.fromkeys(found))
