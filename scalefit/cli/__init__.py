"""The command line: each verb parses its options, calls one library function, and prints.

Results go to stdout, progress and remarks to stderr. Exit codes: 0 success, also when a reader closes the pipe early;
1 not converged or not identified (the result is still written); 2 the input, an option or a file cannot be used
(nothing is written); 70 a bug in scalefit, whose traceback is in a file that the message names; 130 interrupted.
"""

from scalefit.cli import comparing, fitting, forecasting, looking, losses, models, optimising, studying, toys
from scalefit.cli.app import app, main

__all__ = [
    "app",
    "comparing",
    "fitting",
    "forecasting",
    "looking",
    "losses",
    "main",
    "models",
    "optimising",
    "studying",
    "toys",
]
