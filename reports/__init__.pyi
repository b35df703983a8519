from .analyses import Analysis as Analysis
from .analyses import find_analyses as find_analyses
from .attacks.rows import AttackRun as AttackRun
from .attacks.rows import find_attacks as find_attacks
from .attacks.rows import load_attacks as load_attacks
from .attacks.tables import attack_table as attack_table
from .attacks.tables import verdict_table as verdict_table
from .attacks.verdicts import AttackVerdict as AttackVerdict
from .attacks.verdicts import verdict as verdict
from .board.table import board_table as board_table
from .board.verdict_board import Board as Board
from .comparison.compare import Comparison as Comparison
from .comparison.compare import compare as compare
from .content.heard import heard_table as heard_table
from .figures.analyses import correlation_figure as correlation_figure
from .figures.analyses import distance_figure as distance_figure
from .figures.analyses import example_figure as example_figure
from .figures.analyses import near_figure as near_figure
from .figures.analyses import scatter_figure as scatter_figure
from .figures.block_size import block_size_figure as block_size_figure
from .figures.confusion import confusion_figure as confusion_figure
from .figures.strength import strength_figure as strength_figure
from .figures.style import save_figure as save_figure
from .figures.violins import violin_figure as violin_figure
from .latex import to_latex as to_latex
from .metrics import METRICS as METRICS
from .metrics import Metric as Metric
from .metrics import get_metric as get_metric
from .page.write import write_report as write_report
from .paper.published import published_beside as published_beside
from .paper.reproduction import write_reproduction as write_reproduction
from .player import Players as Players
from .player import play as play
from .runs import Run as Run
from .runs import find_readable as find_readable
from .runs import load_run as load_run
from .runs import load_runs as load_runs
from .statistics.key_statistics import KeyStatistics as KeyStatistics
from .statistics.key_statistics import summarise as summarise
from .statistics.key_statistics import summarise_all as summarise_all
from .strength.runs import StrengthRun as StrengthRun
from .strength.runs import find_strength as find_strength
from .strength.tables import strength_table as strength_table
from .tables import closeness_table as closeness_table
from .tables import numbers as numbers
from .tables import score_table as score_table
from .tables import to_csv as to_csv
from .tables import to_html as to_html
from .tables import to_markdown as to_markdown
from .tables import worst_key_table as worst_key_table
from .verdicts import headline as headline

__all__ = [
    "METRICS",
    "Analysis",
    "AttackRun",
    "AttackVerdict",
    "Board",
    "Comparison",
    "KeyStatistics",
    "Metric",
    "Players",
    "Run",
    "StrengthRun",
    "attack_table",
    "block_size_figure",
    "board_table",
    "closeness_table",
    "compare",
    "confusion_figure",
    "correlation_figure",
    "distance_figure",
    "example_figure",
    "find_analyses",
    "find_attacks",
    "find_readable",
    "find_strength",
    "get_metric",
    "headline",
    "heard_table",
    "load_attacks",
    "load_run",
    "load_runs",
    "near_figure",
    "numbers",
    "play",
    "published_beside",
    "save_figure",
    "scatter_figure",
    "score_table",
    "strength_figure",
    "strength_table",
    "summarise",
    "summarise_all",
    "to_csv",
    "to_html",
    "to_latex",
    "to_markdown",
    "verdict",
    "verdict_table",
    "violin_figure",
    "worst_key_table",
    "write_report",
    "write_reproduction",
]
