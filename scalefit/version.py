"""The version of the package, on a floor that every module may import from."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.2.0"
