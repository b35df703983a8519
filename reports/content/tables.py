"""Tables of a report as texts: what the page, Markdown and LaTeX show is the same."""

from collections.abc import Mapping

import pandas as pd

from wrongkey.reports.content.schema import Table

BEST = "Best wrong key"  # the one name of the incorrect key that works best, everywhere in a report
RENAMED = {
    "Worst key [95 %]": f"{BEST} [95 %]",
    "Best key": BEST,
    "its index": "its number",
    "asset": "Asset",
}


def as_table(frame: pd.DataFrame, caption: str, note: str = "", rename: Mapping[str, str] = RENAMED) -> Table:
    """A DataFrame as texts, "–" for missing values."""
    columns = [rename.get(str(column), str(column)) for column in frame.columns]
    rows = [["–" if pd.isna(cell) else str(cell) for cell in row] for row in frame.itertuples(index=False)]
    return Table(caption=caption, columns=columns, rows=rows, note=note)


def as_frame(table: Table) -> pd.DataFrame:
    """A table of a report as a DataFrame of texts, for those who write other formats."""
    return pd.DataFrame(table.rows, columns=table.columns)
