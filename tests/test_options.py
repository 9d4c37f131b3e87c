"""Options are values: declared once, and read by Python, the command line, studies and saved fits."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import typer

import scalefit
from scalefit.cli.app import app
from scalefit.cli.options import Given, with_options
from scalefit.errors import DataError
from scalefit.options import (
    BACKTEST,
    BAYES,
    CALIBRATE,
    CHECK,
    COMPARE,
    FIT,
    FORECAST,
    HEADS,
    ISOFLOP,
    LOSSES,
    PLAN,
    SENSITIVITY,
    SUPERPOSITION,
    Bayes,
    Jobs,
    LeastSquares,
    Options,
    Part,
    Question,
    Rows,
    Simulation,
    command,
    describe,
    gather,
    option,
    part,
    plain,
    restore,
    takes,
)
from scalefit.results import PosteriorFit

VERBS = {
    "fit": (scalefit.fit, FIT), "bayes": (scalefit.bayes, BAYES), "sensitivity": (scalefit.sensitivity, SENSITIVITY),
    "calibrate": (scalefit.calibrate, CALIBRATE), "isoflop": (scalefit.isoflop, ISOFLOP),
    "losses": (scalefit.measure_losses, LOSSES), "heads": (scalefit.measure_heads, HEADS),
    "superposition": (scalefit.superposition, SUPERPOSITION), "forecast": (scalefit.forecast, FORECAST),
    "backtest": (scalefit.backtest, BACKTEST), "plan": (scalefit.plan, PLAN), "compare": (scalefit.compare, COMPARE),
}  # fmt: skip
CLASSES = {each.kind for parts in (*(parts for _, parts in VERBS.values()), CHECK) for each in parts}


@dataclass(frozen=True, kw_only=True)
class Oven(Options):
    """How to bake.

    Parameters
    ----------
    heat : float
        Degrees.
    fan : {"on", "off"}
        Whether the fan runs:
        on or off.
    trays, shelves : int
        How many.
    dough : mapping, optional
        Flour to grams, such as ``rye=300``.
    names : tuple of str
        Of the loaves.
    """

    heat: float = 220.0
    fan: Literal["on", "off"] = "off"
    trays: int = 1
    shelves: int = 2
    dough: Mapping[str, str] | None = option(None, flag="flour", repeated=True)
    names: tuple[str, ...] = ()

    def idle(self) -> dict[str, str]:
        """The fan needs heat."""
        return {} if self.heat else {"fan": "in a cold oven"}


@pytest.mark.parametrize("kind", sorted(CLASSES, key=lambda kind: kind.__name__))
def test_every_option_is_explained(kind: type[Options]) -> None:
    assert all(len(option.text) > 4 and option.text.endswith((".", "says.")) for option in describe(kind).values())
    assert list(describe(kind)) == [field.name for field in fields(kind)]


def test_an_option_that_nobody_explains_is_refused() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Silent(Options):
        """Without a word on its fields."""

        heat: float = 1.0

    with pytest.raises(TypeError, match="Silent does not document heat"):
        Silent()


def test_a_description_has_all_that_interfaces_need() -> None:
    fan, dough = describe(Oven)["fan"], describe(Oven)["dough"]
    assert (fan.text, fan.default, fan.choices) == ("Whether the fan runs: on or off.", "off", ("on", "off"))
    assert (dough.flag, dough.repeated, dough.optional, dough.kinds) == ("--flour", True, True, (Mapping,))
    assert describe(Oven)["shelves"].text == describe(Oven)["trays"].text == "How many."
    assert describe(Oven)["names"].items is str


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fan": "of"}, "fan is 'of'; did you mean 'off'"),
        ({"heat": "hot"}, "heat is 'hot'; it must be a number"),
        ({"heat": True}, "heat is True; it must be a number"),
        ({"names": "rye"}, "names is 'rye'; it must be a list"),
        ({"dough": "rye=1"}, "dough is 'rye=1'; it must be a table"),
    ],
)
def test_values_of_another_type_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Oven(**values)


def test_lists_become_tuples() -> None:
    assert Oven(names=["a", "b"]).names == ("a", "b")  # type: ignore[arg-type]


def test_options_come_whole_or_as_keywords() -> None:
    oven, rows = gather((part(Oven), part(Rows)), (Oven(heat=180.0),), {"trays": 3, "where": "x > 1"})
    assert (oven.heat, oven.trays, rows.where) == (180.0, 3, "x > 1")
    with pytest.raises(TypeError, match="there is no option 'trais'; did you mean 'trays'"):
        gather((part(Oven),), (), {"trais": 3})
    with pytest.raises(TypeError, match="one value each of Oven, not Rows"):
        gather((part(Oven),), (Rows(),), {})
    with pytest.raises(TypeError, match="one value each of Oven, not Oven"):
        gather((part(Oven),), (Oven(), Oven()), {})
    with pytest.raises(TypeError, match="the option 'param' must be given"):
        gather((part(Question),), (), {})


def test_a_verb_can_leave_options_out_and_have_defaults_of_its_own() -> None:
    mine = (part(Oven, "trays", heat=90.0),)
    assert gather(mine, (), {})[0].heat == 90.0
    assert "trays" not in mine[0].described()
    with pytest.raises(TypeError, match="there is no option 'trays'"):
        gather(mine, (), {"trays": 2})
    with pytest.raises(DataError, match="the option 'trays' has no effect here"):
        gather(mine, (Oven(trays=2),), {})


def test_a_function_shows_its_options_as_if_they_were_written_out() -> None:
    @takes(part(Oven))
    def bake(*options: Oven, **keywords: Any) -> Oven:
        """Bake.

        Parameters
        ----------
        *options : Oven
            Whole.
        **keywords
            Fields of Oven.
        """
        return gather((part(Oven),), options, keywords)[0]

    parameters = inspect.signature(bake).parameters
    assert list(parameters) == list(describe(Oven))
    assert parameters["heat"].default == 220.0
    assert 'fan : {"on", "off"}\n    Whether the fan runs: on or off.\n' in (bake.__doc__ or "")
    assert bake(trays=4).trays == 4


def test_options_survive_json_and_the_command_line() -> None:
    oven = Oven(heat=180.0, dough={"rye": "300", "spelt": "1"}, names=("a", "b"))
    assert plain(oven) == {"heat": 180.0, "dough": {"rye": "300", "spelt": "1"}, "names": ["a", "b"]}
    assert restore(Oven, json.loads(json.dumps(plain(oven)))) == oven
    assert command((part(Oven),), plain(oven)) == [
        "--heat", "180.0", "--flour", "rye=300", "--flour", "spelt=1", "--names", "a,b",
    ]  # fmt: skip
    with pytest.raises(DataError, match="there is no option 'heet'; did you mean 'heat'"):
        restore(Oven, {"heet": 1})


def test_a_level_of_a_prior_survives_json() -> None:
    how = Bayes(priors={("alpha", ("a,b", "c")): "HalfNormal(1)", "beta": "HalfNormal(2)"})
    again = restore(Bayes, json.loads(json.dumps(plain(how))))
    assert again.priors == {("alpha", ("a,b", "c")): "HalfNormal(1)", "beta": "HalfNormal(2)"}


@pytest.mark.parametrize("name", VERBS)
def test_python_and_the_command_line_have_the_same_options(name: str) -> None:
    function, parts = VERBS[name]
    known = {option for each in parts for option in each.described()}
    assert known <= set(inspect.signature(function).parameters)
    verb = next(command for command in typer.main.get_command(app).commands.values() if command.name == name)  # type: ignore[attr-defined]
    flags = {param.name: param for param in verb.params}
    assert known <= set(flags)
    for each in parts:
        for option_name, described in each.described().items():
            assert flags[option_name].opts == [described.flag]
            assert flags[option_name].help.split()[0].strip("`") in described.text


def test_adding_an_option_is_one_edit() -> None:
    """A field with its line becomes a flag with help, a keyword, and a value of a saved record."""
    ran: list[Given] = []
    kitchen = typer.Typer(pretty_exceptions_enable=False)

    @kitchen.command()
    @with_options(part(Oven))
    def bake(bread: Annotated[str, typer.Argument()], given: Given) -> None:
        given.refuse_idle((part(Oven),))
        ran.append(given)

    run = typer.main.get_command(kitchen)
    with run.make_context("bake", ["loaf", "--trays", "3", "--flour", "rye=1", "--names", "a", "--names", "b"]) as ctx:
        run.invoke(ctx)
    assert gather((part(Oven),), (), ran[0])[0] == Oven(trays=3, dough={"rye": "1"}, names=("a", "b"))
    assert ran[0].written == {"trays", "dough", "names"}
    with (
        pytest.raises(DataError, match="--fan has no effect in a cold oven; leave it out"),
        run.make_context("bake", ["loaf", "--heat", "0", "--fan", "on"]) as ctx,
    ):
        run.invoke(ctx)


def test_a_fit_carries_its_options_and_others_can_be_made_with_them(tmp_path: Path) -> None:
    rows, how = Rows(where="loss < 4", drop_highest_loss=5), LeastSquares(loss="huber", uncertainty="hc3")
    first = scalefit.fit("chinchilla", "chinchilla", rows, how)
    assert (first.selection, first.options) == (rows, how)
    assert (first.engine, first.seed, first.objective.loss, first.objective.delta) == (
        "least squares",
        0,
        "huber",
        1e-3,
    )
    same = scalefit.fit("chinchilla", "chinchilla", first.selection, first.options)
    assert same.values == first.values
    first.save(tmp_path / "a.fit")
    again = scalefit.load_fit(tmp_path / "a.fit")
    assert (again.selection, again.options) == (rows, how)


def test_refit_changes_what_is_given_and_nothing_else() -> None:
    first = scalefit.fit("chinchilla", "chinchilla", drop_highest_loss=5, loss="huber", uncertainty="hc3", level=0.9)
    squares = scalefit.refit(first, loss="squared")
    direct = scalefit.fit("chinchilla", "chinchilla", drop_highest_loss=5, uncertainty="hc3", level=0.9)
    assert squares.values == direct.values
    assert squares.options == replace(first.options, loss="squared")
    whole = scalefit.refit(first, "chinchilla", where="tokens > 1e10")
    assert whole.selection == replace(first.selection, where="tokens > 1e10")
    assert whole.n_rows < first.n_rows
    simpler = scalefit.refit(first, law="loss ~ E + A/params^alpha")
    assert simpler.names == ("E", "A", "alpha")
    with pytest.raises(TypeError, match="there is no option 'likelihood'"):
        scalefit.refit(first, likelihood="normal")


def test_a_posterior_is_refitted_with_its_own_priors() -> None:
    first = scalefit.bayes(
        "chinchilla", "chinchilla", drop_highest_loss=5, path="fast", draws=500, priors={"alpha": "HalfNormal(2)"}
    )
    other = scalefit.refit(first, likelihood="normal")
    assert other.objective.loss == "normal"
    assert isinstance(other, PosteriorFit)
    assert isinstance(first, PosteriorFit)
    own = dict(first.posterior.priors)
    assert all(own[key] == prior for key, prior in other.posterior.priors)
    assert own["alpha", ()] == "HalfNormal(2)"


def test_what_has_no_effect_is_known_to_the_options() -> None:
    assert set(LeastSquares(uncertainty="hc3").idle()) == {"delta", "bootstrap"}
    assert LeastSquares(loss="huber").idle() == {}
    assert set(Rows().idle()) == {"ties"}
    assert set(Jobs(scheduler="tcp://a:1").idle()) == {"retry_failed", "workers"}
    assert set(Simulation(engine="leastsq").idle()) == {"fit_likelihood"}
    assert isinstance(FIT[0], Part)
