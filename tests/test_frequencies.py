"""Token frequencies: exact counts, a likelihood with a known answer, and the chain to the toy model."""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalefit.errors import DataError, MissingExtra
from scalefit.models.frequencies import Frequencies, count_tokens, fit_exponent, parse_ranks
from scalefit.plots.frequencies import draw_frequencies
from scalefit.toy import ToyGrid, read_frequencies, train_toy

Run = Callable[..., tuple[int, str, str]]


def law(alpha: float, n: int) -> np.ndarray:
    shares = np.arange(1, n + 1.0) ** -alpha
    return shares / shares.sum()


# The exponent


@pytest.mark.parametrize("alpha", [0.5, 1.0, 1.7])
def test_the_truth_comes_back_within_its_error(alpha: float) -> None:
    """300 draws of 20,000 tokens, of which the range holds a part that differs from draw to draw."""
    rng = np.random.default_rng(11)
    found = [fit_exponent(rng.multinomial(20_000, law(alpha, 600)), 10, 500) for _ in range(300)]
    z = np.array([(law.alpha - alpha) / law.se for law in found])
    assert abs(z.mean()) < 4 / math.sqrt(300)
    assert z.std() == pytest.approx(1, abs=4 / math.sqrt(600))
    assert np.mean(np.abs(z) < 1.96) == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 300))
    assert np.mean([law.misfit for law in found]) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("alpha", [0.8, 1.0, 1.5])
def test_ranking_by_the_counts_themselves_biases_little_where_all_are_large(alpha: float) -> None:
    rng = np.random.default_rng(12)
    found = [fit_exponent(np.sort(rng.multinomial(10**6, law(alpha, 3000)))[::-1], 10, 300) for _ in range(40)]
    assert abs(np.mean([law.alpha for law in found]) - alpha) < 0.003
    assert all(law.misfit < 0.6 for law in found)


@given(st.lists(st.integers(0, 500), min_size=3, max_size=30), st.integers(2, 9))
def test_it_is_the_maximum_of_the_likelihood(counts: list[int], factor: int) -> None:
    counts[1] += 1  # two tokens that occur
    counts[0] += 1
    found = fit_exponent(counts, 1, len(counts))
    ranks = np.arange(1, len(counts) + 1)

    def log_likelihood(alpha: float) -> float:
        return float(counts @ (-alpha * np.log(ranks) - np.log((ranks**-alpha).sum())))

    step = 3e-4 / math.sqrt(sum(counts))
    assert log_likelihood(found.alpha) >= max(log_likelihood(found.alpha + shift) for shift in (-step, step))
    curvature = sum(log_likelihood(found.alpha + shift) for shift in (-found.se / 9, found.se / 9))
    curvature = (2 * log_likelihood(found.alpha) - curvature) / (found.se / 9) ** 2
    assert found.se == pytest.approx(curvature**-0.5, rel=0.02)
    more = fit_exponent([factor * count for count in counts], 1, len(counts))
    assert more.alpha == pytest.approx(found.alpha, abs=1e-9)
    assert more.se == pytest.approx(found.se / math.sqrt(factor), rel=1e-6)


def test_the_range_alone_counts() -> None:
    counts = 1e6 * np.arange(1, 401) ** -0.7
    counts[100:] *= np.arange(1, 301) ** -0.5
    assert fit_exponent(counts, 5, 100).alpha == pytest.approx(0.7, abs=1e-9)
    assert fit_exponent(counts, 5, 100) == fit_exponent(counts[:100], 5, 100)
    assert fit_exponent(counts, 101, 400).alpha > 0.8


def test_the_error_that_is_shown_grows_with_the_misfit() -> None:
    bent = fit_exponent(1e6 * np.arange(1, 101.0) ** -1.0 * (1 + 0.3 * np.sin(np.arange(100))), 1, 100)
    assert bent.misfit > 100
    assert bent.error == pytest.approx(bent.se * math.sqrt(bent.misfit))
    drawn = fit_exponent([1000, 500, 333], 1, 3)
    assert drawn.misfit < 1
    assert drawn.error == drawn.se
    pair = fit_exponent([8, 2], 1, 2)
    assert pair.alpha == pytest.approx(2)
    assert pair.error == pair.se


@pytest.mark.parametrize(
    ("counts", "lo", "hi", "words"),
    [
        ([3, 2, 1], 0, 2, "ranks 0:2 are not within 1:3"),
        ([3, 2, 1], 2, 2, "ranks 2:2 are not within 1:3"),
        ([3, 2, 1], 2, 4, "ranks 2:4 are not within 1:3, the ranks of tokens that occur; give a range LO:HI in it"),
        ([3, 0, 0], 1, 3, "only one token of ranks 1:3 occurs"),
        ([10**18, 1], 1, 2, "nearly all counts of ranks"),
    ],
)
def test_a_range_without_an_exponent_is_refused(counts: list[int], lo: int, hi: int, words: str) -> None:
    with pytest.raises(DataError, match=words):
        fit_exponent(counts, lo, hi)


@pytest.mark.parametrize("text", ["10", "a:b", "1:", "1:2:3", "-1:5", "1.5:9"])
def test_a_range_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="are not understood; write LO:HI, such as 10:1000"):
        parse_ranks([text], 100)


# Counting


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tokenizer and a text of many lines."""
    pytest.importorskip("torch", reason="the tokenizer of the tests is made next to models")
    pytest.importorskip("transformers", reason="needs the extra models")
    from tests import tiny_models as tiny

    text = tiny.write_text(3000, seed=9)
    tiny.save_tokenizer(tiny.train_tokenizer(text, begins=True), tmp_path)
    (tmp_path / "text.txt").write_bytes(text.encode())
    return tmp_path


def test_every_token_is_counted(folder: Path) -> None:
    from tokenizers import Tokenizer

    text = (folder / "text.txt").read_bytes().decode()
    expected = Counter(Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text, add_special_tokens=False).ids)
    found = count_tokens(folder, [folder / "text.txt"])
    assert dict(zip(found.ids.tolist(), found.counts.tolist(), strict=True)) == expected
    assert list(zip(-found.counts, found.ids, strict=True)) == sorted(zip(-found.counts, found.ids, strict=True))
    assert found.total == sum(expected.values())
    assert found.vocab == 400
    (folder / "twice.txt").write_bytes((folder / "text.txt").read_bytes())
    both = count_tokens(folder / "tokenizer.json", [folder / "text.txt", folder / "twice.txt"])
    assert (both.counts == 2 * found.counts).all()
    assert both.name == "text, twice"


def test_a_long_text_is_counted_in_pieces(folder: Path) -> None:
    from tokenizers import Tokenizer

    text = (folder / "text.txt").read_bytes().decode() * 80
    (folder / "long.txt").write_bytes(text.encode())
    stages: list[int] = []
    found = count_tokens(folder, [folder / "long.txt"], progress=lambda _, done, __: stages.append(done))
    assert len(stages) > 1
    expected = Counter(Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text, add_special_tokens=False).ids)
    assert dict(zip(found.ids.tolist(), found.counts.tolist(), strict=True)) == expected


def test_a_length_that_is_stored_with_the_tokenizer_cuts_nothing(folder: Path) -> None:
    whole = count_tokens(folder, [folder / "text.txt"])
    stored = json.loads((folder / "tokenizer.json").read_text())
    stored["truncation"] = {"direction": "Right", "max_length": 16, "strategy": "LongestFirst", "stride": 0}
    stored["padding"] = {
        "strategy": {"Fixed": 10**5}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0,
        "pad_token": "<|begin|>",
    }  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(stored))
    assert (count_tokens(folder, [folder / "text.txt"]).counts == whole.counts).all()


def test_a_tokenizer_that_cannot_be_used_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"model": 3}')
    with pytest.raises(DataError, match=r"tokenizer.json' is not a tokenizer .*; fetch it again"):
        count_tokens(folder, [folder / "text.txt"])
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(DataError, match=r"tokenizer.json' is not a tokenizer"):
        count_tokens(folder, [folder / "text.txt"])


def test_without_the_extra_its_name_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingExtra, match=r'pip install "\.\[models\]"'):
        count_tokens(tmp_path, [tmp_path / "text.txt"])


# The verb, the picture and the toy model


def test_the_verb_writes_counts_and_says_the_exponents(run: Run, folder: Path) -> None:
    command = ("frequencies", "--tokenizer", folder, "--text", folder / "text.txt", "--out", "counts.csv")
    code, out, err = run(*command, "--ranks", "1:50", "--ranks", "10:100", "--plot", "counts.svg")
    assert code == 0
    assert err.splitlines()[0] == "drawn to counts.svg"
    assert "of 400 ids occur" in out
    assert "1:50" in out
    table = pd.read_csv("counts.csv")
    assert list(table.columns) == ["rank", "id", "count"]
    assert (table["rank"] == np.arange(1, len(table) + 1)).all()
    code, out, err = run(*command, "--ranks", "1:50", "--json")
    assert (code, err) == (0, "")
    record = json.loads(out)
    fitted = fit_exponent(table["count"].to_numpy(), 1, 50)
    assert record["exponents"][0]["alpha"] == fitted.alpha
    assert record["tokens"] == table["count"].sum()
    assert (record["ids"], record["vocab"]) == (len(table), 400)


def test_a_range_that_ends_in_rare_tokens_is_pointed_out(run: Run, folder: Path) -> None:
    options = ("--tokenizer", folder, "--text", folder / "text.txt", "--out", "counts.csv")
    last = len(count_tokens(folder, [folder / "text.txt"]).ids)
    code, _, err = run("frequencies", *options, "--ranks", f"2:{last}")
    assert code == 0
    assert f"ranks 2:{last} end at a token that occurs 1 times: chance decides the order of such tokens" in err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--ranks", "5"], "ranks '5' are not understood; write LO:HI"),
        (["--ranks", "90:10"], "ranks '90:10' are not a range: LO is at least 1 and below HI"),
        (["--ranks", "0:10"], "ranks '0:10' are not a range: LO is at least 1 and below HI"),
        (["--plot", "x.gif"], "cannot draw to 'x.gif'; end the name with .svg, .png or .pdf"),
        (["--plot", "no/x.svg"], "cannot write 'no/x.svg'"),
        (["--tokenizer", "nowhere"], "'nowhere/tokenizer.json' does not exist; give the folder of a checkpoint"),
        (["--text", "empty.txt"], "'empty.txt' is empty"),
    ],
)
def test_bad_input_is_refused_in_words(run: Run, folder: Path, options: list[str], words: str) -> None:
    Path("empty.txt").touch()
    given_once = [] if "--tokenizer" in options else ["--tokenizer", folder]
    command = ("frequencies", *given_once, "--text", folder / "text.txt", "--out", "counts.csv", *options)
    code, out, err = run(*command)
    assert (code, out) == (2, "")
    assert words in err
    assert not Path("counts.csv").exists()


def test_counts_are_kept_when_a_range_cannot_be_fitted(run: Run, folder: Path) -> None:
    options = ("--tokenizer", folder, "--text", folder / "text.txt", "--out", "counts.csv")
    code, out, err = run("frequencies", *options, "--ranks", "1:50", "--ranks", "1:9999")
    counted = count_tokens(folder, [folder / "text.txt"])
    assert (code, out) == (2, "")
    assert f"ranks 1:9999 are not within 1:{len(counted.ids)}, the ranks of tokens that occur" in err
    assert "the counts are in 'counts.csv'" in err
    assert pd.read_csv("counts.csv").equals(counted.table())


@pytest.mark.parametrize("name", ["text.txt", "tokenizer.json", "./link.txt"])
@pytest.mark.parametrize("option", ["--out", "--plot"])
def test_what_is_read_is_not_written_over(run: Run, folder: Path, name: str, option: str) -> None:
    if option == "--plot":  # a picture has an ending that no tokenizer has
        (folder / "text.txt").rename(folder / "text.svg")
        name = name.replace(".txt", ".svg").replace("tokenizer.json", "text.svg")
    text = folder / ("text.svg" if option == "--plot" else "text.txt")
    Path(folder / name).exists() or (folder / name).symlink_to(text)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    outs = {"--out": "counts.csv", option: folder / name}
    command = ("frequencies", "--tokenizer", folder, "--text", text, *(part for pair in outs.items() for part in pair))
    code, out, err = run(*command)
    assert (code, out) == (2, "")
    assert "is an input of this command and would be written over; name another file" in err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert not Path("counts.csv").exists()


def test_earlier_results_in_the_folder_of_the_tokenizer_are_replaced(run: Run, folder: Path) -> None:
    outs = ("--out", folder / "counts.csv", "--plot", folder / "counts.svg")
    command = ("frequencies", "--tokenizer", folder, "--text", folder / "text.txt", *outs)
    assert [run(*command)[0] for _ in range(2)] == [0, 0]
    code, _, err = run(*command[:-3], folder / "counts.svg", "--plot", folder / "counts.svg")
    assert code == 2
    assert "would be written twice by this command" in err


def test_the_picture_shows_each_law_over_its_own_ranks() -> None:
    counts = np.round(1e5 * np.arange(1, 2001) ** -1.1).astype(np.int64)
    counted = Frequencies(np.arange(2000), counts, 3000, name="a $text$")
    fitted = [counted.exponent(1, 100), counted.exponent(50, 1500)]
    ax = draw_frequencies(counted, fitted)
    drawn = {line.get_label(): line for line in ax.lines}
    for law in fitted:
        (line,) = [line for label, line in drawn.items() if f"ranks {law.lo}–{law.hi}" in str(label)]
        x, y = (np.asarray(values, float) for values in line.get_data())
        assert list(x) == [law.lo, law.hi]
        assert math.log(y[0] / y[1]) / math.log(x[1] / x[0]) == pytest.approx(law.alpha)
    assert ax.get_xscale() == ax.get_yscale() == "log"
    ax.get_figure().canvas.draw()
    alone = draw_frequencies(Frequencies(np.array([4]), np.array([7]), 10))
    alone.get_figure().canvas.draw()


def test_the_counts_are_frequencies_of_the_toy_model(run: Run, tmp_path: Path) -> None:
    """From the counts of a tokenizer to trained toy models: one file, no step by hand."""
    counts = np.round(1e6 * np.arange(1, 301) ** -1.0).astype(np.int64)
    Frequencies(np.arange(300), counts, 400).save(tmp_path / "counts.csv")
    assert read_frequencies(tmp_path / "counts.csv", 40) == tuple(counts[:40] / counts.sum())
    grid = 'frequency = "counts.csv"\nn_features = 40\nwidth = [4, 16]\nsteps = 1000\nbatch = 64\nseeds = 1\n'
    (tmp_path / "grid.toml").write_text(grid)
    models = ToyGrid.read(tmp_path / "grid.toml").models
    for model in models:
        assert model.law == "given"
        assert model.probabilities() == pytest.approx(counts[:40] / counts[:40].sum() * model.density)
    losses = [trained.loss[-1] for trained in train_toy(models, workers=1)]
    assert losses[1] < losses[0] / 2 < 4 / 6
    code, out, _ = run("toy", "sweep", "grid.toml", "--out", "sweep", "--workers", 1)
    assert (code, out) == (0, "2 of 2 models are trained; their table is sweep/table.csv\n")
    assert list(pd.read_csv("sweep/table.csv")["loss"]) == pytest.approx(losses)
