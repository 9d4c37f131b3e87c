"""Forecasts of large runs from small ones, how often they held, and which runs to train next."""

from scalefit.forecasting.coverage import public_backtest
from scalefit.forecasting.fitted import drift_of
from scalefit.forecasting.learned import Constants, learned
from scalefit.forecasting.plan import Plan
from scalefit.forecasting.result import Forecast, TargetForecast
from scalefit.forecasting.run import forecast
from scalefit.forecasting.scores import BacktestResult, ScoreTable

__all__ = [
    "BacktestResult",
    "Constants",
    "Forecast",
    "Plan",
    "ScoreTable",
    "TargetForecast",
    "drift_of",
    "forecast",
    "learned",
    "public_backtest",
]
