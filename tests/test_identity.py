"""A parameter is its coefficient and the labels of its level: hostile labels change no number and lose none."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import scalefit
from scalefit.cli import main
from scalefit.comparison import compare
from scalefit.errors import DataError
from scalefit.law.additive import Law
from scalefit.leastsq import fit
from scalefit.leastsq.bridge import to_lmfit
from scalefit.names import Level, parse_name, printed_name, split_names
from scalefit.posterior import bayes, posterior_record
from scalefit.posterior.density import build_density
from scalefit.posterior.nuts import _trace_names
from scalefit.problem import build_problem, label_codes, predict_law
from scalefit.records import Finding
from scalefit.results import Fit, PosteriorFit
from scalefit.storage import fit_record, load_fit
from scalefit.verdicts import Name, listed

LAW = "loss ~ E[fam, ev] + A/params^alpha"
A, ALPHA = 400.0, 0.34
MARKS = "ab,[]\"'\\ \x1f\x1b\x00\n\t=;()$%_#\u200f\u00ad\u0301\u05d0\u05d1\u4e2d\U0001f98a"
RAW = st.text(alphabet=st.one_of(st.sampled_from(MARKS), st.characters(exclude_categories=["Cs"])), max_size=5)
HOSTILE = RAW.map(lambda text: f"a{text}b")  # without the outer spaces and the words for a missing cell, which are read
LEVELS = st.lists(st.tuples(HOSTILE, HOSTILE), min_size=2, max_size=4, unique=True)
TWINS: list[Level] = [("a,b", "c"), ("a", "b,c")]
SEPARATED: list[Level] = [("a\x1fb", "c"), ("a", "b\x1fc"), ("a\x00c", "c"), ("a", "c"), ("a\x00d", "c")]
BARE: list[Level] = [("", " "), (" ", ""), ("[", "]"), ('"', "\\"), ("E[a,b]", "alpha")]


def table(levels: list[Level], *, scatter: float = 0.003, seed: int = 1) -> pd.DataFrame:
    """Eight runs for each level; the floor of level number i is 1 + i."""
    rng = np.random.default_rng(seed)
    params = np.geomspace(1e7, 1e9, 8)
    parts = []
    for i, (fam, ev) in enumerate(levels):
        loss = (1.0 + i + A / params**ALPHA) * np.exp(scatter * rng.standard_normal(len(params)))
        parts.append(pd.DataFrame({"params": params, "loss": loss, "fam": fam, "ev": ev}))
    return pd.concat(parts, ignore_index=True)


def quick(rows: pd.DataFrame, law: str = LAW) -> Fit:
    return fit(rows, law, uncertainty="hc3")


def plain(count: int) -> list[Level]:
    return [(f"f{i}", f"e{i}") for i in range(count)]


@given(LEVELS)
@example(TWINS)
@example(SEPARATED)
@settings(max_examples=20)
def test_any_label_is_a_label(levels: list[Level]) -> None:
    rows = table(levels)
    found = quick(rows)
    record = json.loads(json.dumps(fit_record(found)))
    assert len(record["estimate"]) == len(record["interval"]) == len(found.parameters) == len(levels) + 2
    assert [(one["coefficient"], tuple(one["level"])) for one in record["parameters"]] == list(found.keys)
    for i, level in enumerate(levels):
        estimate = found["E", level]
        assert estimate.level == level
        assert found[estimate.name] == estimate
        assert estimate.value == pytest.approx(1.0 + i, abs=0.05)
        assert record["estimate"][estimate.name] == estimate.value
    point = pd.DataFrame({"params": 1e8, "fam": [label[0] for label in levels], "ev": [label[1] for label in levels]})
    truth = 1.0 + np.arange(len(levels)) + A / 1e8**ALPHA
    np.testing.assert_allclose(found.predict(point)["predicted"], truth, rtol=0.02)
    assert found.table()["level"][: len(levels)].nunique() == len(levels)


@given(LEVELS)
@example(SEPARATED)
@settings(max_examples=10)
def test_labels_never_change_the_numbers(levels: list[Level]) -> None:
    """Sorted labels are exchanged for others in the same order, so that sums run over the same rows in turn."""
    rows, renamed = table(sorted(levels)), table(plain(len(levels)))
    one, other = quick(rows), quick(renamed)
    assert np.array_equal(one.point, other.point)
    assert np.array_equal(one.uncertainty.covariance, other.uncertainty.covariance)
    shuffled = rows.sample(frac=1, random_state=3)
    assert np.array_equal(quick(shuffled).point, one.point)


@given(LEVELS)
@example(TWINS)
@example(SEPARATED)
@settings(max_examples=10)
def test_a_saved_fit_has_the_same_labels(tmp_path_factory: pytest.TempPathFactory, levels: list[Level]) -> None:
    found = quick(table(levels))
    path = tmp_path_factory.mktemp("saved") / "one.fit"
    found.save(path)
    again = load_fit(path)
    assert again.keys == found.keys
    assert fit_record(again) == fit_record(found)
    pd.testing.assert_series_equal(again.predict()["predicted"], found.predict()["predicted"])


@given(LEVELS)
@example(TWINS)
@settings(max_examples=2)
def test_posteriors_and_comparisons_keep_levels_apart(
    tmp_path_factory: pytest.TempPathFactory, levels: list[Level]
) -> None:
    rows = table(levels)
    found = bayes(rows, LAW, path="fast", draws=500, likelihood="normal", throw=False)
    assert isinstance(found, PosteriorFit)
    record = posterior_record(found)
    assert len(record["estimate"]) == len(record["correlation"]) == len(found.parameters)
    assert {key for key, _ in found.posterior.priors if key[0] == "E"} == {("E", level) for level in levels}
    path = tmp_path_factory.mktemp("saved") / "one.fit"
    found.save(path)
    assert load_fit(path).posterior.priors == found.posterior.priors
    told = compare({"posterior": found, "squares": quick(rows)}, "E").record()["sources"]
    assert len({record["source"] for record in told}) == 2 * len(levels)
    assert {tuple(record["identity"]["level"]) for record in told} == set(levels)


@pytest.mark.parametrize(
    "levels", [TWINS, SEPARATED, [("a%b", "$x$"), ("<b>", "**c**")]], ids=["commas", "marks", "markup"]
)
def test_figures_and_tables_take_any_label(levels: list[Level]) -> None:
    pytest.importorskip("matplotlib")
    from scalefit.report.posterior_tables import posterior_table, priors_sentence
    from scalefit.report.tables import estimates_table, level_tables

    found = fit(table(levels), "loss ~ E[fam, ev] + A[fam]/params^alpha", bootstrap=50)
    posterior = bayes(table(levels), LAW, path="fast", draws=500, likelihood="normal", throw=False)
    for kind in ("fit", "residuals", "term", "optima", "forest"):
        found.plot(kind)
    found.plot("residuals", against="fam")
    found.plot("term", only={"fam": levels[0][0]})
    for kind in ("priors", "predictive", "density"):
        posterior.plot(kind)
    posterior.plot("density", name=("E", levels[0]))
    assert len(estimates_table(found)["rows"]) == 1 + len({label[0] for label in levels})
    assert len(level_tables(found)[0]["rows"]) == len({label[0] for label in levels})
    assert posterior_table(posterior)
    assert priors_sentence({"x": posterior})


def test_levels_that_differ_by_a_comma_have_floors_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Levels (a,b | c) and (a | b,c) were one parameter, E[a,b,c], and both points were predicted as 1.347."""
    here = Path(__file__).parent / "identity"
    saved = tmp_path / "one.fit"

    def run(*words: str) -> str:
        monkeypatch.setattr("sys.argv", ["scalefit", *words])
        with pytest.raises(SystemExit) as left:
            main()
        assert left.value.code == 0
        return capsys.readouterr().out

    out = run("fit", str(here / "levels_with_commas.csv"), LAW, "--bootstrap", "0", "--out", str(saved), "--json")
    assert json.loads(out)["estimate"].keys() == {'E["a,b",c]', 'E[a,"b,c"]', "E[z,q]", "A", "alpha"}
    rows = json.loads(run("predict", str(saved), str(here / "levels_with_commas_predict.csv"), "--json"))["rows"]
    assert [row["predicted"] for row in rows] == pytest.approx([1.35, 3.35], abs=0.01)
    told = json.loads(run("compare", str(saved), "--param", 'E[a, "b,c"]', "--json"))["sources"]
    assert [record["identity"] for record in told] == [{"coefficient": "E", "level": ["a", "b,c"]}]


@given(st.lists(st.tuples(RAW, RAW), min_size=1, max_size=6))
@example(BARE)
@example(SEPARATED)
def test_levels_are_numbered_by_their_texts(rows: list[Level]) -> None:
    """Also those that a reader would not let through: empty ones, and outer spaces."""
    frame = pd.DataFrame(rows, columns=["fam", "ev"], dtype=object)
    codes, levels = label_codes(frame, ("fam", "ev"))
    assert levels == sorted(set(rows))
    assert [levels[code] for code in codes] == rows
    values = {("E", level): float(i) for i, level in enumerate(levels)} | {("A", ()): -np.inf, ("alpha", ()): 1.0}
    assert predict_law(Law.parse(LAW), values, frame.assign(params=1.0)).tolist() == codes.tolist()


def test_a_problem_keeps_apart_what_a_separator_joined() -> None:
    problem = build_problem(Law.parse(LAW), table(BARE))
    assert [parameter.level for parameter in problem.parameters if parameter.level] == sorted(BARE)
    assert len(set(problem.names)) == len(BARE) + 2
    assert len(problem.design.law.bounds) == len(BARE) + 1


def test_draws_predict_at_once_what_they_predict_one_by_one() -> None:
    frame = table(TWINS)
    rng = np.random.default_rng(0)
    keys = [("E", TWINS[0]), ("E", TWINS[1]), ("A", ()), ("alpha", ())]
    draws = rng.normal([1, 2, 6, 0.3], 0.01, size=(20, 4))
    law = Law.parse(LAW)
    together = predict_law(law, dict(zip(keys, draws.T, strict=True)), frame)
    alone = [predict_law(law, dict(zip(keys, row, strict=True)), frame) for row in draws]
    np.testing.assert_array_equal(together, alone)
    by_name = predict_law(law, {printed_name(*key): value for key, value in zip(keys, draws[0], strict=True)}, frame)
    np.testing.assert_array_equal(by_name, alone[0])


def test_a_level_without_a_value_names_its_first_row() -> None:
    found = quick(table(TWINS))
    point = pd.DataFrame({"params": 1e8, "fam": ["a", "a", "a,b"], "ev": ["b,c", "b", "c"]}, index=[7, 8, 9])
    with pytest.raises(DataError, match=r"row 8: the fit has no E\[a,b\], .*levels of its rows; did you mean 'E\["):
        found.predict(point)


def test_predictions_of_many_rows_are_made_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    found = fit(table(TWINS), LAW, bootstrap=40)
    whole = found.predict(prob=0.9)
    monkeypatch.setattr("scalefit.results.CHUNK", 200)  # five rows at a time
    pd.testing.assert_frame_equal(found.predict(prob=0.9), whole)


def test_names_are_read_with_and_without_spaces_and_as_pairs() -> None:
    found = quick(table([("OPT", "c4"), ("Pythia", "c4")]))
    assert found["E[OPT,c4]"] == found["E[ OPT , c4 ]"] == found["E", ("OPT", "c4")]
    assert "E[OPT,c4]" in found
    assert "E[OPT" not in found
    assert ("E", ("OPT",)) not in found
    with pytest.raises(KeyError, match=r"did you mean 'E\[OPT,c4\]'"):
        found["E[OPT,c5]"]
    with pytest.raises(KeyError, match="no parameter 'E'"):
        found["E"]
    with pytest.raises(DataError, match="bracket that is not closed"):
        compare([found], "E[OPT")
    names = ("a_m", 'E["]",c4]', 'E["a,b", "\\""]')
    assert split_names(", ".join(names)) == names
    assert parse_name(names[2]) == ("E", ("a,b", '"'))


def test_numbers_and_categories_of_a_frame_are_labels() -> None:
    rows = table(plain(2)).assign(fam=np.repeat([10, 9], 8), ev=pd.Categorical(np.repeat(["x", "y"], 8)))
    found = quick(rows)
    assert [level for _, level in found.keys if level] == [("10", "x"), ("9", "y")]
    assert found.predict({"params": 1e8, "fam": 9, "ev": "y"})["predicted"].iloc[0] == pytest.approx(2.76, abs=0.05)


def test_half_a_surrogate_pair_is_no_label() -> None:
    frame = pd.DataFrame({"fam": ["a", "\ud83d"]}, dtype=object)
    with pytest.raises(DataError, match=r"row 1: label '\\ud83d' of column 'fam' is not valid text"):
        label_codes(frame, ("fam",))


def test_a_finding_concerns_the_parameters_that_it_names() -> None:
    """A level called alpha made the exponent alpha not identified: findings were searched for the name."""
    levels = [("alpha", "x"), ("A", "y")]
    rows = table(levels)
    flat = rows["fam"] == "alpha"
    rows.loc[flat, "loss"] = A / rows.loc[flat, "params"] ** ALPHA  # its floor is 0
    rows["loss"] *= np.where(np.arange(len(rows)) % 2, 0.99, 1.005)
    found = quick(rows)
    assert found.status == "not identified"
    (finding,) = [finding for finding in found.findings if finding.code == "floor_at_zero"]
    assert finding.about == (("E", ("alpha", "x")),)
    status = {
        source.estimate.name: source.status for name in ("E", "alpha") for source in compare([found], name).sources
    }
    assert status == {"E[A,y]": "converged", "E[alpha,x]": "not identified", "alpha": "converged"}


def test_lmfit_has_a_name_for_every_parameter() -> None:
    """Levels that differ in marks only were one parameter of lmfit."""
    found = quick(table([("a,b", "c"), ("a b", "c"), ("\u4e2d", "c")]))
    minimizer = to_lmfit(found)
    assert len(minimizer.params) == len(found.parameters)
    assert np.array_equal(list(minimizer.params.valuesdict().values()), found.point)
    again = minimizer.minimize()
    np.testing.assert_allclose(list(again.params.valuesdict().values()), found.point, rtol=1e-5)


def test_a_trace_has_a_name_for_every_parameter() -> None:
    law = Law.parse("loss ~ z[fam] + A/params^log_A + B/tokens^log_A_level[fam]")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"params": rng.uniform(1e7, 1e9, 40), "tokens": rng.uniform(1e8, 1e10, 40)})
    frame = frame.assign(fam=np.repeat(["a,b", "a"], 20), loss=rng.uniform(2, 3, 40))
    problem = build_problem(law, frame)
    partial = tuple(coef for coef in law.parameters if coef.name == "log_A_level")
    theta = problem.design.from_natural(np.array([[1.0, 1.0, 1.0, 1.0, 0.3, 0.3, 0.3]]))[0]
    names = _trace_names(build_density(problem, theta=np.asarray(theta), partial=partial))
    every = [*names.variables.values(), *names.dims.values(), *names.extras]
    assert len(set(every)) == len(every) == 5 + 2 + 4
    assert "z" not in every
    assert names.extras[-1] == "sd_log_A_level"


def test_priors_are_given_to_one_level_by_name_or_by_pair() -> None:
    rows = table(TWINS)
    given = {("E", ("a", "b,c")): "Uniform(0, 2.5)", "E": "Uniform(0, 2)"}
    one = bayes(rows, LAW, path="fast", draws=300, likelihood="normal", priors=given, throw=False)
    other = bayes(
        rows, LAW, path="fast", draws=300, likelihood="normal", throw=False,
        priors={'E[a, "b,c"]': "Uniform(0, 2.5)", "E": "Uniform(0, 2)"},
    )  # fmt: skip
    assert dict(one.posterior.priors)["E", ("a", "b,c")] == "Uniform(0, 2.5)"
    assert dict(one.posterior.priors)["E", ("a,b", "c")] == "Uniform(0, 2)"
    assert np.array_equal(one.point, other.point)
    with pytest.raises(DataError, match="there is no parameter 'E\\[a,b,c\\]' to give a prior"):
        bayes(rows, LAW, priors={"E[a,b,c]": "Uniform(0, 2)"})
    with pytest.raises(DataError, match="cannot give a prior to 'E\\[a' has a bracket"):
        bayes(rows, LAW, priors={"E[a": "Uniform(0, 2)"})


def test_other_verbs_name_the_labels_one_by_one(tmp_path: Path) -> None:
    law = "loss ~ E[fam] + A/params^alpha"
    rows = table([("a,b", "c"), ("a", "c")])
    answer = scalefit.sensitivity(
        rows, law, param='E["a,b"]', vary={"likelihood": ["normal"]}, path="fast", draws=300, workers=1,
    )  # fmt: skip
    record = answer.record()
    assert record["identity"] == {"coefficient": "E", "level": ["a,b"]}
    assert all(np.isfinite(one["estimate"]) for one in record["rows"])
    answer.plot()
    covered = scalefit.calibrate(rows, law, engine="leastsq", likelihood="normal", n=10, draws=20, workers=1)
    named = covered.record()["parameters"]
    assert [(record["coefficient"], record["level"]) for record in named[:2]] == [("E", ["a"]), ("E", ["a,b"])]
    covered.plot()
    assert [record["name"] for record in named] == [record["param"] for record in covered.record()["rows"]]


def test_an_optimum_is_that_of_the_level_named() -> None:
    rng = np.random.default_rng(0)
    params, tokens = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e7, 1e9, 5), np.geomspace(1e9, 1e11, 5)))
    parts = []
    for (fam, ev), size in zip(TWINS, (400.0, 40.0), strict=True):
        loss = (1.5 + size / params**0.34 + 400 / tokens**0.28) * np.exp(0.002 * rng.standard_normal(25))
        parts.append(pd.DataFrame({"params": params, "tokens": tokens, "loss": loss, "fam": fam, "ev": ev}))
    found = fit(pd.concat(parts, ignore_index=True), "loss ~ E + A[fam, ev]/params^alpha + B/tokens^beta", bootstrap=20)
    sizes = [
        scalefit.optimum(found, compute=1e20, at={"fam": fam, "ev": ev}).allocation(1e20).quantities["params"].value
        for fam, ev in TWINS
    ]
    assert sizes[0] > 2 * sizes[1]
    with pytest.raises(DataError, match=r'the fit has no A\["a,b","b,c"\]'):
        scalefit.optimum(found, at={"fam": "a,b", "ev": "b,c"})


def test_texts_of_a_report_name_levels() -> None:
    from scalefit.report.text import fill, marked, name_words

    found = quick(table([("a:b", "c"), ("x]", "c")]))
    value = fill('{main.E["x]",c]:value} {main.E[a:b,c]:value}', {"main": found})
    assert [float(part) for part in value.split()] == pytest.approx([2.0, 1.0], abs=0.05)
    assert name_words(("E", ("x]", "c"))) == '$E$ "x]", c'
    both = listed([Name(key) for key in found.keys if key[0] == "E"])
    sentence = Finding.of("x", "warning", both, " differ.")
    assert sentence.message == 'E[a:b,c] and E["x]",c] differ.'
    assert marked(sentence.runs) == '$E$ a:b, c and $E$ "x]", c differ.'


def test_a_posterior_saved_with_joined_names_still_opens(tmp_path: Path) -> None:
    """Format 2 kept priors by the name joined from the labels, and findings without their parameters."""
    rows = table([("x,y", "c"), ("z", "c")])
    priors = {("E", ("z", "c")): "Uniform(0, 2.5)", ("E", ("x,y", "c")): "Uniform(0, 1.5)"}
    law = "loss ~ E[fam, ev] + A/params^alpha"
    found = bayes(rows, law, path="fast", draws=300, likelihood="normal", throw=False)
    assert isinstance(found, PosteriorFit)
    told = replace(found, posterior=replace(found.posterior, priors=tuple(priors.items())))
    new, old = tmp_path / "new.fit", tmp_path / "old.fit"
    told.save(new)
    with zipfile.ZipFile(new) as archive, zipfile.ZipFile(old, "w") as other:
        for name in archive.namelist():
            content = archive.read(name)
            if name == "fit.json":
                record = json.loads(content) | {"format_version": 2}
                record["posterior"]["priors"] = [["E[z,c]", "Uniform(0, 2.5)"], ["E[x,y,c]", "Uniform(0, 1.5)"]]
                for finding in record["findings"]:
                    del finding["about"]
                content = json.dumps(record).encode()
            other.writestr(name, content)
    assert load_fit(old).posterior.priors == load_fit(new).posterior.priors == tuple(priors.items())
    assert all(finding.about == () for finding in load_fit(old).findings)
