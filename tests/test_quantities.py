"""Numbers and headers as people write them."""

from __future__ import annotations

import decimal
import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scalefit.data.quantities import ALIASES, Guess, guess_header, is_missing, parse_column
from scalefit.errors import DataError
from scalefit.numbers import as_input, parse_number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.3B", 1.3e9),
        ("350M", 350e6),
        ("2e12", 2e12),
        ("3.1T", 3.1e12),
        ("124k", 124e3),
        ("2.5G", 2.5e9),
        (" 7 b ", 7e9),
        ("1,300,000", 1300000.0),
        ("1,300", 1300.0),
        ("12,345.5", 12345.5),
        ("1_000", 1000.0),
        ("−0.5", -0.5),
        ("+4", 4.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e17", 1e17),
        ("-inf", -math.inf),
        ("∞", math.inf),
    ],
)
def test_numbers_as_people_write_them(text: str, value: float) -> None:
    assert parse_number(text) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("7B params", "only K, M, B, G or T"),
        ("5%", "percentages are not read"),
        ("3.37 ± 0.01", "give them a column of their own"),
        ("3.37+-0.01", "give them a column of their own"),
        ("3.37 +/- 0.01", "give them a column of their own"),
        ("3,21", "decimal comma"),
        ("0,321", "decimal comma"),
        ("1.300,5", "decimal comma"),
        ("1e3M", "both an exponent and a suffix"),
        ("abc", "it is text"),
        ("B", "it is text"),
        (".", "it is text"),
        ("1 300", "only K, M, B, G or T"),
        ("1e400", "too large"),
        ("0x10", "only K, M, B, G or T"),
        ("٣", "it is text"),
    ],
)
def test_what_is_not_a_number_has_a_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_number(text)


@given(st.decimals(min_value=0, max_value=10**6, places=3), st.sampled_from("kKmMbBgGtT"), st.booleans())
def test_a_suffix_is_a_power_of_ten_correctly_rounded(number: decimal.Decimal, suffix: str, space: bool) -> None:
    power = {"k": 3, "m": 6, "b": 9, "g": 9, "t": 12}[suffix.lower()]
    text = f"{number}{' ' if space else ''}{suffix}"
    assert parse_number(text) == float(number.scaleb(power))


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(1e9)
@example(768.0)
@example(123456789.0)
@example(-0.0)
def test_plain_text_of_a_number_reads_back(value: float) -> None:
    assert float(as_input(value)) == value
    assert parse_number(as_input(value)) == value


def test_plain_text_is_short() -> None:
    assert [as_input(x) for x in (1e9, 768.0, 0.25, 1.5e22)] == ["1e9", "768", "0.25", "1.5e22"]


@given(st.integers(min_value=0, max_value=10**15))
def test_grouped_thousands_read_back(value: int) -> None:
    assert parse_number(f"{value:,}") == parse_number(f"{value:_}") == float(value)


def test_missing_words() -> None:
    assert all(is_missing(cell) for cell in ("", " NaN", "N/A", None, math.nan, pd.NA, pd.NaT, "None"))
    assert not is_missing("None", number=False)
    assert not any(is_missing(cell) for cell in (0, "0", "x", False))


def column(*cells: object, **scalefit: object) -> pd.Series:
    series = pd.Series(list(cells), name="params", dtype=object, index=range(1, len(cells) + 1))
    series.attrs["scalefit"] = scalefit
    return series


def test_a_column_of_mixed_cells() -> None:
    numbers = parse_column(column("1.3B", 350, np.float32(2), decimal.Decimal("1.5"), None, "", "nan"))
    np.testing.assert_array_equal(numbers.floats, [1.3e9, 350, 2, 1.5, np.nan, np.nan, np.nan])
    assert numbers.suffixed == 0
    assert numbers.grouped is None


def test_empty_cells_carry_no_suffix() -> None:
    assert parse_column(column("", "12", None)).suffixed is None


@pytest.mark.parametrize("dtype", ["int64", "float32", "Int64", "UInt8"])
def test_number_types_become_float64(dtype: str) -> None:
    numbers = parse_column(pd.Series([1, 2, 3], dtype=dtype, name="x"))
    assert numbers.floats.dtype == np.float64
    assert numbers.floats.tolist() == [1.0, 2.0, 3.0]


def test_nullable_integers_keep_their_gap() -> None:
    assert np.isnan(parse_column(pd.Series([1, None], dtype="Int64")).floats[1])


def test_a_bad_cell_is_named() -> None:
    with pytest.raises(DataError, match=re.escape("row 2 (line 3), column 'params': 'abc' is not a number")):
        parse_column(column("1", "abc", "def", line_offset=1))
    with pytest.raises(DataError, match="1 more cell of the column cannot be read either"):
        parse_column(column("1", "abc", "def"))
    with pytest.raises(DataError, match="Correct the cell, or map another column"):
        parse_column(column("-"))


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ([True], "true and false are not numbers"),
        ([[1, 2]], "it is a list"),
        ([10**400], "too large"),
        (["1,300", "3,21"], "decimal comma"),
    ],
)
def test_cells_that_cannot_be_numbers(cells: list[object], reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        parse_column(column(*cells))


def test_complex_numbers_are_refused() -> None:
    with pytest.raises(DataError, match="complex"):
        parse_column(pd.Series([1j], name="x"))


def test_thousands_are_announced() -> None:
    cells = column("768", "1,024", "12,288")
    numbers = parse_column(cells)
    assert numbers.floats.tolist() == [768.0, 1024.0, 12288.0]
    assert numbers.remarks(cells) == (
        "Commas in column 'params' are read as thousands separators: '1,024' in row 2 is 1024.",
    )


@pytest.mark.parametrize(
    ("cells", "separator"), [(["3,211", "2,987"], ";"), (["1,300", "2500"], ","), (["3,211", "1234.5"], ",")]
)
def test_undecided_commas_are_refused(cells: list[str], separator: str) -> None:
    with pytest.raises(DataError, match="may be a decimal comma or a thousands separator"):
        parse_column(column(*cells, separator=separator))


@pytest.mark.parametrize("cells", [["1,300", "1,300,000"], ["1,300.5", "12,000"]])
def test_decided_commas_are_read_in_a_semicolon_file(cells: list[str]) -> None:
    expected = [float(cell.replace(",", "")) for cell in cells]
    assert parse_column(column(*cells, separator=";")).floats.tolist() == expected


@pytest.mark.parametrize(
    ("header", "name", "factor"),
    [
        ("params", "params", 1),
        ("N", "params", 1),
        ("n_Params", "params", 1),
        ("#Params", "params", 1),
        ("Params(M)", "params", 1e6),
        ("params (B)", "params", 1e9),
        ("N_millions", "params", 1e6),
        ("params_in_billions", "params", 1e9),
        ("N (B params)", "params", 1e9),
        ("tokens_B", "tokens", 1e9),
        ("tokens [1e9]", "tokens", 1e9),
        ("tokens (×10^9)", "tokens", 1e9),
        ("D_B", "tokens", 1e9),
        ("Training tokens (trillions)", "tokens", 1e12),
        ("compute (EFLOPs)", "flops", 1e18),
        ("C (PF-days)", "flops", 8.64e19),
        ("flops (1e18)", "flops", 1e18),
        ("eval/loss", "loss", 1),
        ("Loss (nats/token)", "loss", 1),
        ("d-model", "width", 1),
        ("n_embd", "width", 1),
        ("num_hidden_layers", "depth", 1),
        ("model size (non-emb)", "params", 1),
    ],
)
def test_headers_that_are_understood(header: str, name: str, factor: float) -> None:
    guess = guess_header(header, name)
    assert guess is not None
    assert guess.factor == factor


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("params_non_embedding", "params"),
        ("params (furlongs)", "params"),
        ("params_kind", "params"),
        ("n_b", "params"),
        ("d_in", "tokens"),
        ("d_model", "tokens"),
        ("tokens_per_param", "tokens"),
        ("loss (M)", "loss"),
        ("width_k", "width"),
        ("n_layers", "params"),
        ("loss_lower_95", "loss"),
    ],
)
def test_headers_that_mean_something_else(header: str, name: str) -> None:
    assert guess_header(header, name) is None


@pytest.mark.parametrize(
    ("header", "name", "factor"),
    [
        ("Size (params)!", "params", 1),
        ("N_params [B]!", "params", 1e9),
        ("Parameters, N", "params", 1),
        ("Total number of parameters", "params", 1),
        ("Network size (M params)", "params", 1e6),
        ("Non-embedding parameters", "params", 1),
        ("Tokens (D)", "tokens", 1),
        ("Data (B tokens)", "tokens", 1e9),
        ("Total training tokens, billions", "tokens", 1e9),
        ("Val. loss (nats)!", "loss", 1),
        ("Final validation loss", "loss", 1),
        ("Loss, val", "loss", 1),
        ("Cross-entropy loss", "loss", 1),
        ("Model width (d_model)", "width", 1),
        ("hidden dimension", "width", 1),
        ("Number of hidden layers", "depth", 1),
        ("Training compute C (PF-days)", "flops", 8.64e19),
        ("No. of training steps", "step", 1),
    ],
)
def test_headers_are_known_by_their_words(header: str, name: str, factor: float) -> None:
    guesses = {known: guess for known in ALIASES if (guess := guess_header(header, known)) is not None}
    assert {known: guess.factor for known, guess in guesses.items()} == {name: factor}


@pytest.mark.parametrize(
    "header",
    [
        "tokens per second", "tokens/s", "tokens (k/s)", "Tokens / param", "unique tokens (B)", "warmup tokens",
        "val tokens", "batch size (tokens)", "batch tokens", "context length (tokens)", "vocabulary size (tokens)",
        "epochs (tokens)", "tokens (params)", "token", "params per layer", "embedding params", "active params",
        "expert params", "params (%)", "√params", "Size (M)", "model size (GB)", "size", "model", "number", "total",
        "training data", "data size", "N/D", "total experts", "loss std", "loss ±", "delta loss", "Δ loss", "aux loss",
        "router z-loss", "loss scale", "excess loss", "loss (min, max)", "loss function", "cross entropy", "final",
        "FLOPs per token", "peak FLOPs", "inference FLOPs", "FLOPs utilization", "compute (GPU hours)", "head dim",
        "ffn width", "width multiplier", "beam width", "hidden", "layer", "layer norm", "layers frozen",
        "encoder layers", "warmup steps", "steps per epoch", "step size", "step time (s)", "lr (step)",
    ],
)  # fmt: skip
def test_headers_with_words_of_another_meaning_are_no_known_name(header: str) -> None:
    assert [name for name in ALIASES if guess_header(header, name) is not None] == []


def test_a_known_name_comes_before_its_words_and_these_before_a_training_loss() -> None:
    headers = ("val_loss", "Final val loss", "train_loss")
    ranks = [guess.rank for header in headers if (guess := guess_header(header, "loss")) is not None]
    assert ranks == sorted(set(ranks))
    assert len(ranks) == 3


def test_a_training_loss_is_a_last_resort() -> None:
    guess = guess_header("train_loss", "loss")
    assert guess is not None
    assert guess.last_resort


@pytest.mark.parametrize(
    ("prefix", "factor"),
    [("k", 1e3), ("m", 1e6), ("g", 1e9), ("t", 1e12), ("p", 1e15), ("e", 1e18), ("z", 1e21)],
)
def test_every_prefix_of_a_flop(prefix, factor):
    assert guess_header(f"compute ({prefix}FLOP)", "flops") == Guess(factor)


def test_a_column_of_percentages_is_read_as_shares_and_a_mixed_one_is_refused() -> None:
    column = pd.Series(["32.5%", " 4 %", None, "n/a"], index=[1, 2, 3, 4], name="err")
    read = parse_column(column)
    np.testing.assert_allclose(read.floats, [0.325, 0.04, np.nan, np.nan], rtol=1e-15)
    assert read.remarks(column) == ("Percentages in column 'err' are read as shares: '32.5%' in row 1 is 0.325.",)
    for other in ("0.3", "3,2%", "low"):
        with pytest.raises(DataError, match="is not a number"):
            parse_column(pd.Series(["32.5%", other], index=[1, 2], name="err"))
