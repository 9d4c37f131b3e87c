"""The same question under other cuts, error models, clusters, priors and conventions, and how far the answer moves."""

from scalefit.sensitivity.choices import DIMENSIONS, Choice
from scalefit.sensitivity.result import Answer, Sensitivity
from scalefit.sensitivity.run import sensitivity

__all__ = ["DIMENSIONS", "Answer", "Choice", "Sensitivity", "sensitivity"]
