"""What people look at: numbers, figures, tables and the HTML report of run folders.

This room reads run folders (docs/design.md, section 3) and knows no model. Names are imported when first
used, so that a command line that only prints help does not load pandas and matplotlib.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "METRICS": "metrics",
    "Comparison": "comparison",
    "KeyStatistics": "statistics",
    "Metric": "metrics",
    "Run": "runs",
    "block_size_figure": "figures",
    "closeness_table": "tables",
    "compare": "comparison",
    "confusion_figure": "confusion",
    "find_readable": "runs",
    "get_metric": "metrics",
    "headline": "verdicts",
    "heard_table": "heard",
    "load_run": "runs",
    "load_runs": "runs",
    "numbers": "tables",
    "published_beside": "published",
    "save_figure": "figures",
    "score_table": "tables",
    "summarise": "statistics",
    "summarise_all": "statistics",
    "to_csv": "tables",
    "to_html": "tables",
    "to_latex": "tables",
    "to_markdown": "tables",
    "violin_figure": "figures",
    "worst_key_table": "tables",
    "write_report": "html",
    "write_reproduction": "reproduction",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"reports.{_HOME[name]}"), name)
    raise AttributeError(f"module 'reports' has no attribute {name!r}")
