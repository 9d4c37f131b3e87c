"""The language of laws: what can be written, and how it is set in type."""
