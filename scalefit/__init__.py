"""Refit neural scaling laws: certified optima, measured intervals, a PDF to send on."""

__version__ = "0.1.0"
