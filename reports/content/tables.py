"""Tables of a report as texts: what the page, Markdown and LaTeX show is the same."""

import pandas as pd

from wrongkey.reports.content.schema import Table


def as_table(frame: pd.DataFrame, caption: str, note: str = "") -> Table:
    """A DataFrame as texts, "–" for missing values."""
    rows = [["–" if pd.isna(cell) else str(cell) for cell in row] for row in frame.itertuples(index=False)]
    return Table(caption=caption, columns=list(map(str, frame.columns)), rows=rows, note=note)


def as_frame(table: Table) -> pd.DataFrame:
    """A table of a report as a DataFrame of texts, for those who write other formats."""
    return pd.DataFrame(table.rows, columns=table.columns)
