"""Posteriors of scaling laws: importance sampling in a second, NUTS where that is not enough."""

from scalefit.bayes.density import Density
from scalefit.bayes.fit import bayes
from scalefit.bayes.nuts import inference_data
from scalefit.bayes.pooling import stack_datasets
from scalefit.bayes.priors import Prior, parse_prior
from scalefit.bayes.result import posterior_record

__all__ = ["Density", "Prior", "bayes", "inference_data", "parse_prior", "posterior_record", "stack_datasets"]
