"""What people look at: numbers, figures, tables and the HTML report of run folders.

This room reads run folders (docs/design.md, section 3) and knows no model. Names are imported when first
used, so that a command line that only prints help does not load pandas and matplotlib.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reports.comparison import Comparison, compare
    from reports.figures import block_size_figure, save_figure, violin_figure
    from reports.html import write_report
    from reports.metrics import METRICS, Metric, get_metric
    from reports.published import published_beside
    from reports.runs import Run, load_run, load_runs
    from reports.statistics import KeyStatistics, summarise, summarise_all
    from reports.tables import numbers, score_table, to_csv, to_html, to_latex, to_markdown, worst_key_table
    from reports.verdicts import headline

__all__ = [
    "METRICS",
    "Comparison",
    "KeyStatistics",
    "Metric",
    "Run",
    "block_size_figure",
    "compare",
    "get_metric",
    "headline",
    "load_run",
    "load_runs",
    "numbers",
    "published_beside",
    "save_figure",
    "score_table",
    "summarise",
    "summarise_all",
    "to_csv",
    "to_html",
    "to_latex",
    "to_markdown",
    "violin_figure",
    "worst_key_table",
    "write_report",
]

_MODULES = ("runs", "metrics", "statistics", "tables", "published", "verdicts", "comparison", "figures", "html")


def __getattr__(name: str) -> Any:
    if name in __all__:
        for module in _MODULES:
            found = getattr(import_module(f"reports.{module}"), name, None)
            if found is not None:
                return found
    raise AttributeError(f"module 'reports' has no attribute {name!r}")
