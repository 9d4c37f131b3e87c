"""Posteriors of scaling laws: importance sampling in a second, NUTS where that is not enough."""

from scalefit.posterior.density import Density
from scalefit.posterior.fit import bayes
from scalefit.posterior.nuts import inference_data
from scalefit.posterior.pooling import stack_datasets
from scalefit.posterior.priors import Prior, parse_prior
from scalefit.posterior.result import posterior_record

__all__ = ["Density", "Prior", "bayes", "inference_data", "parse_prior", "posterior_record", "stack_datasets"]
