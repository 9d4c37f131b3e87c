"""Global minimisation of a law's misfit: arrays in, arrays out, no names.

The parts: :mod:`design` (the arrays of a problem), :mod:`vectormath` and :mod:`objective` (the misfit and
its exact derivatives), :mod:`newton` (one minimisation, or a batch), :mod:`starts` (starting points) and
:mod:`search` (the global optimum and the table of local ones).
"""
