"""The command line: each verb parses its options, calls one library function, and prints.

Results go to stdout, progress and remarks to stderr. Exit codes: 0 fine; 1 not converged or not identified (the
result is written all the same); 2 bad input (nothing is written); 130 interrupted.
"""

from scalefit.cli import comparing, fitting, looking, optimising, studying, toys
from scalefit.cli.app import app, main

__all__ = ["app", "comparing", "fitting", "looking", "main", "optimising", "studying", "toys"]
