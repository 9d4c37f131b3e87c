"""Forecasts of large runs from small ones, how often they held, and which runs to train next."""

from scalefit.forecasting.plan import Plan
from scalefit.forecasting.result import Forecast, TargetForecast
from scalefit.forecasting.rule import Constants
from scalefit.forecasting.run import forecast
from scalefit.forecasting.scores import BacktestResult

__all__ = ["BacktestResult", "Constants", "Forecast", "Plan", "TargetForecast", "forecast"]
