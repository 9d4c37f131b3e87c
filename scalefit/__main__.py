"""Run the command line as ``python -m scalefit``."""

from scalefit.cli import main

main()
