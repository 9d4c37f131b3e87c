"""Forecasts of large runs from small ones, how often they held, and which runs to train next."""

from scalefit.forecasting.result import Forecast, TargetForecast
from scalefit.forecasting.rule import Constants
from scalefit.forecasting.run import forecast

__all__ = ["Constants", "Forecast", "TargetForecast", "forecast"]
