"""Least squares and Huber fits: the global optimum, its errors, and what limits them."""

from scalefit.leastsq.fit import fit

__all__ = ["fit"]
