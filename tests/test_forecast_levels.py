"""One forecast for each level: the same as of its rows alone, failures that are named, and targets by level."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from scalefit.cli import main
from scalefit.errors import DataError
from scalefit.forecasting import LevelForecasts, forecast, forecast_levels

TARGET = {"params": 3e10, "tokens": 6e11}


def corpora() -> pd.DataFrame:
    """Two corpora of 18 runs, and one of three runs, which cannot be forecast."""
    params = np.repeat(np.geomspace(3e7, 3e9, 6), 3)
    tokens = params * np.tile([8.0, 20.0, 50.0], 6)
    noise = 0.003 * np.random.default_rng(5).standard_normal((2, 18))
    web, code = (
        (floor + 400 / params**0.34 + 410 / tokens**0.28) * np.exp(one)
        for floor, one in zip((1.7, 1.2), noise, strict=True)
    )
    rows = pd.DataFrame({"params": params, "tokens": tokens})
    parts = [rows.assign(corpus="web", loss=web), rows.assign(corpus="code", loss=code)]
    return pd.concat([*parts, rows.head(3).assign(corpus="tiny", loss=web[:3])], ignore_index=True)


@pytest.fixture(scope="module")
def levels() -> LevelForecasts:
    return forecast_levels(corpora(), "corpus", [TARGET, {"params": 1e8, "tokens": 2e9}])


def test_a_level_is_forecast_as_its_rows_alone(levels: LevelForecasts) -> None:
    assert list(levels.forecasts) == ["code", "web"]
    rows = corpora()
    alone = forecast(rows[rows["corpus"] == "web"], [TARGET, {"params": 1e8, "tokens": 2e9}])
    for one in (0.5, 0.9):
        np.testing.assert_allclose(levels["web"].interval(one), alone.interval(one), rtol=1e-12)
    table = levels.table()
    assert list(table["corpus"]) == ["code", "code", "web", "web"]
    np.testing.assert_allclose(table["estimate"][2:], alone.table()["estimate"], rtol=1e-12)
    assert set(table["runs"]) == {18}


def test_a_level_that_fails_is_named_and_does_not_stop_the_others(levels: LevelForecasts) -> None:
    reason = "'dataframe' has 3 runs here; a forecast needs at least 4"
    assert levels.failed == {"tiny": reason}
    assert levels.exit_code == 1
    text = str(levels)
    assert f"no forecast: corpus = tiny: {reason}" in text
    first, *_ = (line.split() for line in text.splitlines() if line.strip().startswith("code"))
    assert first[:5] == ["code", "18", "30B", "600B", "40"]
    record = json.loads(json.dumps(levels.record()))
    assert [one["corpus"] for one in record] == ["code", "web", "tiny"]
    assert record[0]["targets"][0]["ratio"] == pytest.approx(40)
    assert record[2] == {"corpus": "tiny", "status": "refused", "message": reason}


def test_targets_may_be_of_one_level() -> None:
    rows = corpora().query("corpus != 'tiny'")
    given = pd.DataFrame({"corpus": [" code", "web"], "params": ["30B", "10B"], "tokens": [6e11, 2e11]})
    found = forecast_levels(rows, "corpus", {"corpus": "web", **TARGET}, targets=given)
    assert [len(one) for one in found.forecasts.values()] == [1, 2]
    assert found["web"].targets["params"].tolist() == [3e10, 1e10]
    assert found.exit_code == 0
    lacking = forecast_levels(rows, "corpus", {"corpus": "web", **TARGET})
    assert lacking.failed == {"code": "none of the targets is of it; give one, or leave its rows out with --where"}


def test_labels_that_are_numbers_are_the_same_in_runs_and_targets_and_stand_in_the_record() -> None:
    rows = corpora().query("corpus != 'tiny'")
    rows["source"] = rows["corpus"].map({"web": 8.0, "code": 64.0})
    given = pd.DataFrame({"source": [64.0], "params": [3e10], "tokens": [6e11]})
    found = forecast_levels(rows, "source", {"source": 8.0, **TARGET}, targets=given)
    assert [len(one) for one in found.forecasts.values()] == [1, 1]
    assert [(one["source"], one["rows"]) for one in found.record()] == [("8", 18), ("64", 18)]
    with pytest.raises(DataError, match=r"a table of forecasts has a column 'runs' itself.*--map group=runs"):
        replace(found, by="runs").table()


@pytest.mark.parametrize(
    ("by", "options", "message"),
    [
        ("corpse", {"at": TARGET}, "no column 'corpse'.*corpus"),
        ("corpus", {}, "there is nothing to forecast; give a target"),
        ("corpus", {"at": {"corpus": "wed", **TARGET}}, "a target has corpus = wed, which no run has.*web"),
        ("corpus", {"at": TARGET, "where": "corpus == 'tiny'"}, "no level of 'corpus' can be fitted"),
        ("tokens", {"at": {"params": 3e10}}, "no level of 'tokens' can be fitted"),
    ],
)
def test_what_cannot_be_forecast_by_level_is_refused(by: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        forecast_levels(corpora(), by, options.pop("at", ()), **options)


def test_the_command_writes_one_table_and_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    corpora().to_csv(tmp_path / "runs.csv", index=False)
    monkeypatch.chdir(tmp_path)
    words = "forecast runs.csv --by corpus --at params=30B,tokens=600B --out all.csv --plot all.svg"
    monkeypatch.setattr(sys, "argv", ["scalefit", *words.split()])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 1
    assert capsys.readouterr().out.startswith("loss of one run in runs, forecast by corpus:")
    assert pd.read_csv("all.csv")["corpus"].tolist() == ["code", "web"]
    assert "web" in (tmp_path / "all.svg").read_text(encoding="utf-8")
