"""Forecasts of large runs from small ones, how often they held, and which runs to train next."""

from scalefit.forecasting.coverage import public_backtest
from scalefit.forecasting.fitted import drift_of
from scalefit.forecasting.learned import Constants, learned
from scalefit.forecasting.levels import LevelForecasts, forecast_levels
from scalefit.forecasting.plan import Plan
from scalefit.forecasting.result import Forecast, TargetForecast
from scalefit.forecasting.run import forecast
from scalefit.forecasting.scores import BacktestResult, ScoreTable

__all__ = [
    "BacktestResult",
    "Constants",
    "Forecast",
    "LevelForecasts",
    "Plan",
    "ScoreTable",
    "TargetForecast",
    "drift_of",
    "forecast",
    "forecast_levels",
    "learned",
    "public_backtest",
]
