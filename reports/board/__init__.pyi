from .cells import Cell as Cell
from .states import State as State
from .table import board_table as board_table
from .verdict_board import Board as Board
from .verdict_board import Column as Column
from .verdict_board import Row as Row
from .verdict_board import board as board

__all__ = ["Board", "Cell", "Column", "Row", "State", "board", "board_table"]
