"""One row per group: which row is kept, what is said of it, and a bootstrap that repeats the choice."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

import scalefit
from scalefit.data.choice import group_columns, parse_reduce
from scalefit.data.rows import Needed, select_rows
from scalefit.data.tables import Table, read_table
from scalefit.errors import DataError
from scalefit.law.additive import Law
from scalefit.options import Rows

SWEEP = """params,tokens,lr,seed,loss,family
1e6,1e9,1e-3,0,3.0,a
1e6,1e9,2e-3,0,2.8,a
1000000,1e9,4e-3,0,2.8,b
2e6,1e9,1e-3,0,2.5,a
2e6,1e9,2e-3,0,2.6,b
2e6,2e9,1e-3,0,2.4,a
"""


def table(text: str = SWEEP) -> Table:
    return read_table(io.StringIO(text), name="sweep", typed=False)


def reduced(by: str, how: str, text: str = SWEEP, response: str = "loss", **options: Any) -> Table:
    labels = options.pop("labels", ())
    needed = Needed(response, ("params", "tokens"), tuple(labels))
    return select_rows(table(text), needed, Rows(group_by=by, reduce=how, **options).rules)


def test_the_row_with_the_least_loss_is_kept_under_its_number_and_counted() -> None:
    read = reduced("params,tokens", "min:loss")
    assert read.frame.index.tolist() == [2, 4, 6]
    assert read.frame["lr"].tolist() == ["2e-3", "1e-3", "1e-3"]
    (rule,) = read.dropped
    assert (rule.kind, rule.rows, rule.setting) == ("reduce", 3, "min:loss by params,tokens")
    assert rule.words == (
        "the row with the least loss of each combination of params and tokens is kept: 3 groups of 1 to 3 rows, "
        "3 rows fewer"
    )


def test_ties_are_named_and_the_first_row_is_used() -> None:
    assert reduced("params,tokens", "min:loss").remarks == (
        "In 1 group the least loss is that of several rows (rows 2 and 3); the first of the table is used.",
    )


def test_the_law_may_be_about_what_was_chosen() -> None:
    read = reduced("params,tokens", "max:loss", response="lr")
    assert read.frame["lr"].tolist() == [1e-3, 2e-3, 1e-3]
    assert read.frame["loss"].tolist() == [3.0, 2.6, 2.4]


def test_the_last_step_of_each_run() -> None:
    text = "run,step,params,tokens,loss\na,0,1e6,1,9\na,20,1e6,2,4\na,3,1e6,3,5\nb,7,2e6,1,3\n"
    read = reduced("run", "last:step", text)
    assert read.frame["loss"].tolist() == [4.0, 3.0]
    assert read.choice is None  # nothing to choose again: the last step is the last in every resample


def test_a_mean_is_geometric_and_keeps_count_and_scatter() -> None:
    read = reduced("params,tokens", "mean")
    assert read.frame.index.tolist() == [1, 4, 6]
    expected = [np.exp(np.mean(np.log([3.0, 2.8, 2.8]))), np.sqrt(2.5 * 2.6), 2.4]
    np.testing.assert_allclose(read.frame["loss"], expected)
    assert read.frame["group_rows"].tolist() == [3, 2, 1]
    np.testing.assert_allclose(read.frame["group_scatter"].iloc[1], np.log(2.6 / 2.5) / np.sqrt(2))
    assert np.isnan(read.frame["group_scatter"].iloc[2])
    assert "family" not in read.frame  # labels that differ within a group have no mean


def test_a_mean_weighs_rows_by_their_weight() -> None:
    text = "params,tokens,loss,w\n1,1,2,3\n1,1,4,1\n2,1,5,2\n"
    read = reduced("params", "mean", text, weights="w")
    np.testing.assert_allclose(read.frame["loss"], [2 ** (3 / 4) * 4 ** (1 / 4), 5])
    assert read.frame["w"].tolist() == [4, 2]


def test_rows_of_the_groups_are_the_weights_of_means() -> None:
    read = Rows(group_by="params,tokens", reduce="mean", weights="group_rows").read(
        table(), Law.parse("loss ~ A/params^alpha")
    )
    assert read.frame["group_rows"].tolist() == [3, 2, 1]
    with pytest.raises(DataError, match="column 'group_rows' is made by a mean of each group"):
        reduced("params", "min:loss", weights="group_rows")


def test_a_mean_of_rows_with_different_labels_is_refused_by_row() -> None:
    with pytest.raises(
        DataError, match=re.escape("rows 1 and 3 are of one group, and column 'family' differs: 'a' and 'b'")
    ):
        reduced("params,tokens", "mean", labels=["family"])


def test_labels_that_are_one_number_are_one_group() -> None:
    read = reduced("lr", "min:loss", SWEEP + "3e6,1e9,0.001,0,2.3,a\n")
    assert read.frame["lr"].tolist() == ["4e-3", "2e-3", "0.001"]
    assert "Column 'lr' is grouped by its numbers: '1e-3' and '0.001' are one." in read.remarks


def test_conditions_come_before_groups_and_the_highest_losses_after() -> None:
    read = reduced("params,tokens", "min:loss", where="lr < 2e-3", drop_highest_loss=1)
    assert read.frame.index.tolist() == [4, 6]
    assert [rule.kind for rule in read.dropped] == ["where", "reduce", "drop_highest_loss"]
    assert read.choice is not None
    assert read.choice.best.tolist() == [4, 6]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"group_by": "params"}, "nothing says which row of a group to keep; add reduce, such as min:loss"),
        ({"reduce": "mean"}, "nothing says which rows are a group; add group_by"),
        (
            {"group_by": "params", "reduce": "median"},
            r"reduce is 'median'. Need min:COLUMN, max:COLUMN, last:COLUMN or",
        ),
        ({"group_by": "params", "reduce": "min"}, "reduce is 'min', which names no column.*min:loss"),
        ({"group_by": "params", "reduce": "mean:loss"}, "a mean takes no column"),
    ],
)
def test_incomplete_groups_are_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Rows(**options)


def test_columns_that_cannot_decide_are_refused_with_row_and_column() -> None:
    with pytest.raises(DataError, match=re.escape("row 1 (line 2), column 'family': 'a' is not a number")):
        reduced("params", "min:family")
    with pytest.raises(DataError, match="has no column 'accuracy'"):
        reduced("params", "max:accuracy")
    with pytest.raises(DataError, match="has no column 'corpus'"):
        reduced("corpus", "min:loss")
    with pytest.raises(DataError, match="which names no column"):
        reduced(" , ", "min:loss")
    with pytest.raises(DataError, match=re.escape("row 7 (line 8), column 'seed': missing")):
        reduced("params", "last:seed", SWEEP + "3e6,1e9,0.001,,2.3,a\n")


def test_names_with_commas_stand_in_backquotes() -> None:
    assert group_columns("a, `b, c`,d") == ("a", "b, c", "d")
    assert parse_reduce("min:`x:y`").column == "x:y"


def grid(best: float, noise: float) -> pd.DataFrame:
    """A grid of 6 sizes by 25 learning rates, whose best rate falls with the size; losses scatter."""
    rng = np.random.default_rng(5)
    size, rate = np.meshgrid(np.geomspace(1e6, 1e8, 6), np.geomspace(1e-4, 1e-1, 25), indexing="ij")
    optimum = best * (size / 1e7) ** -0.5
    loss = 2.0 + 30 / size**0.3 + 0.05 * np.log(rate / optimum) ** 2 + noise * rng.standard_normal(size.shape)
    return pd.DataFrame({"params": size.ravel(), "lr": rate.ravel(), "loss": loss.ravel()})


def test_the_bootstrap_repeats_the_choice_of_the_best_row() -> None:
    data = grid(3e-3, 0.02)
    options: dict[str, Any] = {"group_by": "params", "reduce": "min:loss", "bootstrap": 400, "exponents": "free"}
    chosen = scalefit.fit(data, "lr ~ A/params^alpha", **options)
    fixed = scalefit.fit(chosen.rows, "lr ~ A/params^alpha", bootstrap=400, exponents="free")
    assert chosen.uncertainty.method.startswith("pairs bootstrap over 6 groups that repeats the choice of rows")
    assert chosen["alpha"].value == fixed["alpha"].value
    assert chosen["alpha"].se > fixed["alpha"].se
    assert abs(chosen["alpha"].value - 0.5) < 3 * chosen["alpha"].se
    again = scalefit.fit(data.sample(frac=1, random_state=1), "lr ~ A/params^alpha", **options)
    np.testing.assert_allclose(again["alpha"].value, chosen["alpha"].value, rtol=1e-12)


def test_with_one_row_a_group_the_choice_is_the_bootstrap_of_rows() -> None:
    data = grid(3e-3, 0.0).iloc[::25].assign(seed=1)
    data["loss"] = 2 + 40 / data["params"] ** 0.3 * np.array([1.0, 0.99, 1.01, 1.005, 0.995, 1.0])
    options: dict[str, Any] = {"bootstrap": 2000, "seed": 1}
    plain = scalefit.fit(data, "loss ~ A/params^alpha", **options)
    grouped = scalefit.fit(data, "loss ~ A/params^alpha", group_by="params", reduce="min:loss", **options)
    np.testing.assert_allclose(grouped["alpha"].se, plain["alpha"].se, rtol=0.1)


def test_a_chosen_row_of_a_resample_is_the_best_of_as_many_draws_as_the_group_has_rows() -> None:
    choice = reduced("params,tokens", "min:loss").choice
    assert choice is not None
    drawn = choice.draw(np.zeros(200_000, dtype=np.int64), np.random.default_rng(0))
    shares = np.bincount(drawn, minlength=3)[:3] / len(drawn)
    np.testing.assert_allclose(shares, [19 / 27, 7 / 27, 1 / 27], atol=5e-3)  # of 3 draws from 3 rows, by counting


def test_the_best_rate_of_steplaw_from_raw_rows_in_one_fit() -> None:
    law = "lr ~ c*params^a*tokens^b with a free, b free"
    fit = scalefit.fit("steplaw", law, group_by="params,tokens", reduce="min:loss", bootstrap=200)
    np.testing.assert_allclose(fit.value / 2, 0.368633178, rtol=1e-8)  # of 17 rows, computed elsewhere
    np.testing.assert_allclose(fit["a"].value, -0.82347721, rtol=1e-6)
    assert fit.n_rows == 17
    assert "repeats the choice of rows" in fit.uncertainty.method
    alone = scalefit.fit(fit.rows, law, bootstrap=200)
    assert fit["a"].se > alone["a"].se
