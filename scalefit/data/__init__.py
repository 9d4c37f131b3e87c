"""From a name, a file or rows to the table that a law can use; the door is ``scalefit.options.Rows(...).read``."""

from scalefit.data.tables import Table, read_table

__all__ = ["Table", "read_table"]
