"""Many independent computations, each kept as it finishes: in this process, over cores, or on a dask scheduler.

A cell is one call of a function with plain arguments. Its result is one JSON file, so that a run that was cut short
goes on where it stopped, and a cell that failed stays a failure with its reason, never a number.
"""

from scalefit.cells.cell import DONE, FAILED, CellResult, cell_key, read_cell
from scalefit.cells.frames import pack_frame, unpack_frame
from scalefit.cells.run import run_cells

__all__ = ["DONE", "FAILED", "CellResult", "cell_key", "pack_frame", "read_cell", "run_cells", "unpack_frame"]
