"""Options that were given and would have no effect, counts beyond what can be computed, texts without end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scalefit.allocation.cost import Cost
from scalefit.comparison import compare
from scalefit.data.where import parse_where
from scalefit.errors import DataError, ScalefitError, StudyError
from scalefit.law.additive import Law
from scalefit.leastsq import fit
from scalefit.limits import check_count, check_seed
from scalefit.posterior import bayes, parse_prior
from scalefit.report.reader import read_study
from scalefit.results import Fit
from scalefit.robustness import calibrate, sensitivity
from scalefit.toy import ToyConfig, ToyGrid

Run = Callable[..., tuple[Any, str, str]]
FIT = ["fit", "chinchilla", "chinchilla"]
BAYES = ["bayes", "chinchilla", "chinchilla"]
STUDY = ["sensitivity", "chinchilla", "chinchilla", "--param", "alpha"]
CHECK = ["calibrate", "chinchilla", "chinchilla"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([*FIT, "--delta", "1e-3"], "--delta has no effect without --loss huber; leave it out"),
        ([*FIT, "--ties", "drop"], "--ties has no effect without --drop-highest-loss"),
        ([*FIT, "--uncertainty", "hc3", "--bootstrap", "400"], "--bootstrap has no effect with --uncertainty hc3"),
        ([*FIT, "--uncertainty", "hc3", "--cluster", "shape"], "--cluster has no effect with --uncertainty hc3"),
        ([*FIT, "--map", "parms=params"], "--map parms=params has no effect, because nothing uses a column 'parms'"),
        ([*FIT, "--map", ""], "--map is empty; give it a value, or leave it out"),
        ([*FIT, "--cluster", " "], "--cluster is empty"),
        ([*FIT, "--where="], "--where is empty"),
        (["fit", "", "chinchilla"], "an argument is empty"),
        ([*FIT, "--seed", "1", "--seed", "2"], "--seed is given twice, and only one could be used"),
        ([*FIT, "--where", "tokens > 1", "--where", "tokens > 2"], "--where is given twice"),
        ([*BAYES, "--ties", "keep"], "--ties has no effect without --drop-highest-loss"),
        ([*BAYES, "--prior", "alpha=HalfNormal(1)", "--prior", "alpha=HalfNormal(2)"], "--prior is given twice for"),
        ([*BAYES, "--pool", "alpha=none", "--pool", "alpha=full"], "--pool is given twice for 'alpha'"),
        ([*BAYES, "--pool", "alpha=partial"], "cannot pool 'alpha': it has no levels"),
        ([*BAYES, "--map", "x=params"], "--map x=params has no effect"),
        ([*STUDY, "--retry-failed"], "--retry-failed has no effect without --folder"),
        ([*STUDY, "--workers", "2", "--scheduler", "tcp://a:1"], "--workers has no effect with --scheduler"),
        ([*STUDY, "--vary", "likelihood=normal", "--ties", "keep"], "--ties has no effect without --drop-highest-loss"),
        ([*STUDY, "--vary", "likelihood=normal", "--vary", "likelihood=squared"], "--vary is given twice for 'likelih"),
        ([*CHECK, "--loss", "huber"], "--loss has no effect without --engine leastsq"),
        ([*CHECK, "--engine", "leastsq", "--path", "fast"], "--path has no effect with --engine leastsq"),
        ([*CHECK, "--engine", "leastsq", "--fit-likelihood", "normal"], "--fit-likelihood has no effect with --engine"),
        ([*CHECK, "--retry-failed"], "--retry-failed has no effect without --folder"),
        (["show", "a.fit", "--plot", "foo"], "there is no plot 'foo'; "),
        (["show", "a.fit", "--plot", "observd"], "there is no plot 'observd'; did you mean 'observed'? Choices: "),
        (["show", "a.fit", "--plot", "observed"], "--plot observed needs --out, the file to write: --plot obs"),
        (["show", "a.fit", "--out", "x.png"], "--out x.png has no effect without --plot; choices: "),
        (["predict", "a.fit", "--at", "params=7B,tokens=1T,parms=9"], "--at parms=9 has no effect: did you mean 'para"),
        (["predict", "a.fit", "--map", "x=nope"], "--map has no effect without a table to predict"),
        (["predict", "a.fit", "chinchilla", "--map", "x=params"], "--map x=params has no effect, because nothing uses"),
        (["compare", "a.fit", "--param", "alpha", "--fixed", "nope=1"], "--fixed has no effect without a posterior"),
        (["compare", "a.fit", "--param", "alpha", "--prior", "HalfNormal(1)"], "--prior has no effect without a post"),
        (
            ["compare", "a.fit", "--param", "alpha", "--leave-out", "row"],
            "--leave-out has no effect with fewer than two posteriors",
        ),
        (["compare", "a.fit", "--param", "alpha", "--published", "x=1,1e308"], "published x: the error is 1e308; it "),
        (["compare", "a.fit", "--param", "alpha", "--published", "x=1e200,1"], "published x: the value is 1e200; it"),
        (["toy", "show", "sweep", "--plot", "losses", "--out", "x.png", "--json"], "--json has no effect with --plot"),
        (["toy", "show", "sweep", "--plot", "loses"], "there is no plot 'loses' of a sweep; did you mean 'losses'?"),
        (["report", "x.toml", "--drop-invalid"], "--drop-invalid goes with --new"),
    ],
)  # fmt: skip
def test_options_without_effect_are_refused(
    run: Run, huber: Fit, tmp_path: Path, arguments: list[str], words: str
) -> None:
    huber.save(tmp_path / "a.fit")
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {words}") or (words.startswith("--drop-invalid") and words in err), err
    assert [path.name for path in tmp_path.iterdir()] == ["a.fit"]


def test_what_is_a_default_and_was_not_given_is_no_request(run: Run) -> None:
    code, _, err = run(*FIT, "--loss", "huber", "--delta", "1e-3", "--uncertainty", "hc3", "--bootstrap", "0", "--json")
    assert code == 0, err


def test_a_mapping_may_serve_the_condition_or_the_cluster(run: Run) -> None:
    options = ("--map", "size=params", "--where", "size > 1e8", "--bootstrap", "0", "--json")
    code, _, err = run(*FIT, *options)
    assert code == 0, err


def test_an_exponent_that_no_posterior_has_cannot_be_fixed(levels: Fit) -> None:
    with pytest.raises(DataError, match=r"no fit has an exponent 'alfa' to fix; did you mean 'alpha"):
        compare({"a": levels}, "alpha", fixed={"alfa": 1.0})


LAW = "loss ~ E + A/params^alpha + B/tokens^beta"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: fit("chinchilla", LAW, bootstrap=10**9), r"bootstrap is 1e9; it can be at most 1e7"),
        (lambda: fit("chinchilla", LAW, bootstrap=9_000_000), r"at most 5 592 405, which take 1024 MiB of memory"),
        (lambda: fit("chinchilla", LAW, bootstrap=-1), "bootstrap is -1; it must be at least 0, such as 4000"),
        (lambda: fit("chinchilla", LAW, bootstrap=1), "bootstrap is 1; it must be 0 .none. or at least 2"),
        (lambda: fit("chinchilla", LAW, bootstrap=4000.0), "bootstrap is 4000.0; it must be a whole number"),
        (lambda: fit("chinchilla", LAW, bootstrap=True), "bootstrap is True; it must be a whole number"),
        (lambda: fit("chinchilla", LAW, bootstrap=10**300), "bootstrap is a number of more than 18 digits; it can be"),
        (lambda: fit("chinchilla", LAW, seed=-1), r"seed is -1; it must be a whole number from 0 to 2\^63 - 1"),
        (lambda: fit("chinchilla", LAW, seed=2**64), "seed is a number of more than 18 digits; it must be a whole"),
        (lambda: fit("chinchilla", LAW, seed=0.5), "seed is 0.5; it must be a whole number from 0"),
        (lambda: bayes("chinchilla", LAW, draws=10**12), "draws is 1e12; it can be at most 1e7"),
        (lambda: bayes("chinchilla", LAW, draws=10**6), "draws is 1e6; it can be at most 419 430, which take"),
        (lambda: bayes("chinchilla", LAW, draws=99), "draws is 99; it must be at least 100, such as 4000"),
        (lambda: bayes("chinchilla", LAW, seed=-1), "seed is -1"),
        (lambda: sensitivity("chinchilla", LAW, param="alpha", draws=10**6), "draws is 1e6; it can be at most"),
        (lambda: sensitivity("chinchilla", LAW, param="alpha", seed=-1), "seed is -1"),
        (lambda: sensitivity("chinchilla", LAW, param="alpha", workers=10**6), "workers is 1e6; it can be at m"),
        (lambda: sensitivity("chinchilla", LAW, param="alpha", reference=float("nan")), "reference is nan; it must"),
        (lambda: calibrate("chinchilla", LAW, n=10**9), "n is 1e9; it can be at most 1e6"),
        (lambda: calibrate("chinchilla", LAW, draws=10**6), "draws is 1e6; it can be at most 419 430"),
        (lambda: calibrate("chinchilla", LAW, seed=2**63), "seed is a number of more than 18 digits"),
        (lambda: ToyGrid.from_dict({"width": 3, "seeds": 10**9}), "grid: seeds is 1e9; it can be at most 1"),
        (
            lambda: ToyGrid.from_dict({"width": list(range(2, 900)), "seeds": 1000}),
            "grid: the number of models is 898 000; it can be at most 100 000",
        ),
        (lambda: ToyConfig(width=8, steps=10**12), "steps is 1e12; it can be at most 1e9"),
        (lambda: ToyConfig(width=9000, n_features=10**6), "width = 9000, n_features = 1e6.*takes 402 GiB to train"),
        (lambda: ToyConfig(width=8, seed=2**64), "seed is a number of more than 18 digits; it can be at most"),
    ],
)  # fmt: skip
def test_counts_are_checked_before_any_work(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        call()


def test_the_last_allowed_seed_works() -> None:
    assert check_seed(2**63 - 1) == 2**63 - 1
    first = fit("chinchilla", LAW, bootstrap=20, seed=2**63 - 1)
    assert first.seed == 2**63 - 1
    assert check_count("x", 3, least=3, most=3) == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lr ~ c*N^a*D^b", r"a term has one column, and products of columns such as N\^a\*D\^b are not in the law"),
        ("loss ~ E + A/(N^a*D^b)", "a term has one column, and products of columns"),
        ("loss ~ E + N^a*D^b", "a term has one column, and products of columns"),
        ("loss ~ E + 2*A/x^a", "a term has one coefficient, a name or a number"),
        ("loss = E + A/x^a", "the response stands before '~', not before '='; write loss ~ E"),
        (f"loss ~ E + A/x^{'9' * 300}", "a number in a law lies between 1e-100 and 1e"),
        (f"loss ~ {'9' * 300} + A/x^a", "a number in a law lies between"),
        (f"loss ~ E + A/x^{'9' * 5000}", "this is not a sum of terms"),
        ("loss ~ E + A/x^101", "an exponent above 100 leaves double precision"),
        ("loss ~ E + A/x^(1/1e-99)", "an exponent above 100"),
        ("loss ~ E + A/x^1e400", "a number in a law lies between"),
        (f"loss ~ E + A/x^{'-' * 5000}a", "nested too deeply"),
        (f"loss ~ E + {'(' * 5000}A", "not a sum of terms"),
        (f"loss ~ {'+'.join(['a'] * 5000)}", "nested too deeply, or has too many terms"),
        ("loss ~ E + A/\ud800^a", "it holds a character that no law has"),
        ("loss ~ E + A/x^a + \x00", "not a sum of terms|it holds a character"),
    ],
)
def test_laws_that_cannot_be_read_say_why(text: str, words: str) -> None:
    with pytest.raises(ScalefitError, match=words) as caught:
        Law.parse(text)
    reason, shown, caret = str(caught.value).split("\n")
    assert len(shown) <= 402
    assert len(caret) <= len(shown) + 1
    assert reason.startswith("cannot read the law: ")


@pytest.mark.parametrize("limit", [1000, 20_000])
def test_depth_does_not_depend_on_the_interpreter(limit: int) -> None:
    """Some libraries raise Python's recursion limit."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(limit)
    try:
        with pytest.raises(ScalefitError, match="nested too deeply"):
            Law.parse(f"loss ~ E + A/x^{'-' * 102}a")
        with pytest.raises(DataError, match="cannot read the prior"):
            parse_prior(f"HalfNormal({'-' * 102}1)")
        with pytest.raises(DataError, match="nested too deeply"):
            parse_where(f"{'not ' * 102}x")
    finally:
        sys.setrecursionlimit(before)


def test_the_caret_of_a_product_is_under_the_second_column() -> None:
    with pytest.raises(ScalefitError) as caught:
        Law.parse("lr ~ c*N^a*D^b")
    _, shown, caret = str(caught.value).split("\n")
    assert shown[caret.index("^")] == "D"


def test_a_law_of_long_names_can_be_fitted(run: Run) -> None:
    name = "a" * 300
    code, out, err = run("fit", "chinchilla", f"loss ~ {'E' * 300} + {'A' * 300}/params^{name}", "--bootstrap", 0)
    assert code == 0, err
    assert name in out


@pytest.mark.parametrize(
    "text",
    ["-" * 5000, f"HalfNormal({'-' * 5000}1)", f"HalfNormal({'9' * 400})", "(" * 3000, "\x00",
     f"HalfNormal({'1' * 5000})"],
)  # fmt: skip
def test_priors_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(DataError, match="cannot read the prior") as caught:
        parse_prior(text)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("text", ["Gamma(1e300, 1)", "HalfNormal(1e-60)", "Uniform(-1e300, 1e300)", "Normal(0, 1e80)"])
def test_priors_beyond_double_precision_are_refused(text: str) -> None:
    with pytest.raises(DataError, match=r"it must lie between 1e-50 and 1e50, because beyond that"):
        parse_prior(text)


def test_a_prior_that_excludes_the_data_is_refused() -> None:
    with pytest.raises(DataError, match=r"some prior excludes them\. Priors: .*alpha ~ Gamma\(1e49, 1\)"):
        bayes("chinchilla", LAW, path="fast", draws=200, priors={"alpha": "Gamma(1e49, 1)"})


def test_a_cost_without_bounds_is_refused() -> None:
    with pytest.raises(DataError, match="the cost has 5001 characters"):
        Cost.parse("9" * 4999 + "*x")
    with pytest.raises(DataError, match="a power above 100"):
        Cost.parse("6*x^1e9")


BOM = b"\xef\xbb\xbf"
MINIMAL = b'title = "T"\n[[fit]]\nname = "a"\ndata = "chinchilla"\nlaw = "chinchilla"\n'


def test_a_study_and_a_grid_may_have_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_bytes(BOM + MINIMAL.replace(b"\n", b"\r\n"))
    assert read_study(tmp_path / "study.toml").title == "T"
    (tmp_path / "grid.toml").write_bytes(BOM + b"width = [3, 5]\r\nn_features = 20\r\nalpha = 1\r\n")
    assert [model.width for model in ToyGrid.read(tmp_path / "grid.toml").models] == [3, 5]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (MINIMAL + b"engine = []\n", r"engine is \[\]; choices"),
        (MINIMAL + b"engine = {a = 1}\n", "engine is {'a': 1}; choices"),
        (MINIMAL + b"seed = " + b"9" * 5000 + b"\n", "is not valid TOML"),
        (MINIMAL + b"x = " + b"[" * 100_000 + b"\n", "is not valid TOML: it is nested too deeply"),
        (b"\xff\xfe" + MINIMAL, "cannot be read .*a study is a TOML file"),
    ],
)
def test_studies_that_cannot_be_read_are_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "study.toml").write_bytes(content)
    with pytest.raises(StudyError, match=words):
        read_study(tmp_path / "study.toml")


def test_a_grid_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_bytes(b"width = " + b"[" * 100_000)
    with pytest.raises(DataError, match=r"grid\.toml' is not valid TOML: it is nested too deeply"):
        ToyGrid.read(tmp_path / "grid.toml")


@pytest.mark.parametrize(
    ("word", "choice"), [("caf\u00e9", "cafe\u0301"), ("loss", "\uff4c\uff4f\uff53\uff53"), ("\u2126", "\u03a9")]
)
def test_a_word_that_looks_the_same_is_not_offered_as_another(word: str, choice: str) -> None:
    from scalefit.errors import closest

    assert "looks the same, but is written in other Unicode characters" in closest(word, [choice, "other"])
    assert "did you mean" not in closest(word, [choice, "other"])
