"""The parts of a report as a study names them: answers, cards, figures, sections and claims; plain values."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Answer", "Card", "Claim", "Figure", "Front", "Published", "Section"]


@dataclass(frozen=True)
class Published:
    """Numbers of a paper to stand beside a fit.

    Parameters
    ----------
    label : str
        The paper in words.
    key : str
        What its keys in the table of published values begin with, such as ``"besiroglu2024"``.
    """

    label: str
    key: str


@dataclass(frozen=True)
class Figure:
    """A figure by kind.

    Parameters
    ----------
    kind : str
        ``terms``, ``residuals``, ``pairs``, ``forest``, ``densities``, ``observed`` or ``optima``; of posteriors also
        ``distributions``, ``joint``, ``priors``, ``predictive`` and ``pooling``; of toy sweeps ``toy_losses``,
        ``toy_slopes``, ``toy_convergence``, ``toy_map`` and ``width_terms``.
    fit : str
        The fit shown; that of the section when empty.
    fits : tuple of str
        Several fits, for ``forest``, ``densities``, ``distributions`` and ``width_terms``.
    steps : tuple of str
        Sweeps, for the figures of toy models; those of the section when empty.
    where : str
        Which rows of the sweeps are drawn.
    parameter : str
        For these, and for ``pooling``; what other fits call it follows after commas.
    against : tuple of str
        Columns, for ``residuals`` (the law's variables and groups when empty) and ``predictive`` (one).
    names : tuple of pairs of str
        Parameters (x, y) of each panel of ``pairs``; the obvious ones when empty.
    parameters : tuple of str
        Those of ``joint`` and ``priors``; the obvious ones when empty.
    published : tuple of Published
        Papers to add to a ``forest`` or to ``distributions``.
    reference : float or None
        A hypothesis to mark in red.
    words : str
        What it says.
    height : float
        Height of a row of panels, mm; a default by kind when 0.
    """

    kind: str
    fit: str = ""
    fits: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    where: str = ""
    parameter: str = ""
    against: tuple[str, ...] = ()
    names: tuple[tuple[str, str], ...] = ()
    parameters: tuple[str, ...] = ()
    published: tuple[Published, ...] = ()
    reference: float | None = None
    words: str = ""
    height: float = 0.0


@dataclass(frozen=True)
class Answer:
    """One sentence or two of page one, written from the numbers.

    Parameters
    ----------
    title : str
        A few words to lead in; none when empty.
    rule : {"law", "reference", "pooled", "posterior", "agreement"}
        What to answer: what the law is, whether a parameter is a given number (by intervals, or by the probability that
        posteriors give it), whether groups agree, whether independent data sets do.
    fit : str
        The main fit.
    parameter : str
        The parameter in question, for every rule but ``law``; what other fits call it follows after commas.
    reference : float or None
        The number in question.
    within : float
        How near to the reference counts as equal to it; a tenth of it when 0.
    also : tuple of str
        Fits that answer the same question another way.
    among : tuple of str
        Fits of single groups, for ``pooled``.
    published : tuple of Published
        Papers to compare with.
    """

    rule: str
    fit: str
    title: str = ""
    parameter: str = ""
    reference: float | None = None
    within: float = 0.0
    also: tuple[str, ...] = ()
    among: tuple[str, ...] = ()
    published: tuple[Published, ...] = ()


@dataclass(frozen=True)
class Card:
    """A number set large on page one.

    Parameters
    ----------
    title : str
        What it is.
    fit : str
        The fit it comes from.
    parameters : tuple of str
        One or two parameters.
    """

    title: str
    fit: str
    parameters: tuple[str, ...]


@dataclass(frozen=True)
class Front:
    """The rest of page one.

    Parameters
    ----------
    fits : tuple of str
        Fits whose laws and numbers page one shows; all when empty.
    figure : Figure or None
        The figure of page one.
    """

    fits: tuple[str, ...] = ()
    figure: Figure | None = None


@dataclass(frozen=True)
class Claim:
    """A printed number beside its refit.

    Parameters
    ----------
    says : str
        What is claimed, in a few words.
    published : tuple of Published
        Where it was printed; the key is that of one value, such as ``liu2025.alpha``.
    fit : str
        The refit.
    parameter : str
        What the number is called there.
    because : str
        The reason for a difference; numbers of fits may stand in it.
    """

    says: str
    published: tuple[Published, ...]
    fit: str
    parameter: str
    because: str = ""


@dataclass(frozen=True)
class Section:
    """A section of the report.

    Parameters
    ----------
    title : str
        Its heading.
    fit : str
        The main fit, for ``law``, ``posterior`` and ``optimum``.
    kind : {"law", "posterior", "comparison", "claims", "optimum", "sensitivity", "calibration", "toy", "heads"}
        How it is written: a law fitted to a table, a posterior, one parameter in several fits, printed numbers beside
        their refits, the best use of compute, one answer under many choices, what intervals cover, toy models,
        output heads of real models.
    fits : tuple of str
        The fits of a ``comparison``.
    steps : tuple of str
        The steps of ``sensitivity``, ``calibration``, ``toy`` and ``heads``.
    claims : tuple of Claim
        The rows of ``claims``.
    cost : str
        For ``optimum``: what a run costs, in the units of ``compute``.
    compute : tuple of float
        For ``optimum``: the budgets of the table; chosen from the data when empty.
    alternatives : tuple of str
        The same question under other choices, as rows of a table.
    laws : tuple of str
        Posteriors of several laws on the same rows, to be ranked by how they predict left-out rows.
    leave_out : str
        What leaving one out leaves out: ``row``, or a column.
    hold_out : str
        Rows that those laws predict from the others: a condition, or a column whose largest values are held out.
    clustered : str
        The same fit with its rows resampled by cluster.
    published : tuple of Published
        Papers beside it.
    parameter : str
        The parameter in question, for ``posterior`` and ``comparison``; what other fits call it follows after commas.
    reference : float or None
        The number in question.
    within : float
        How near to the reference counts as equal to it; a tenth of it when 0.
    words : str
        What the reference says, for figures.
    parameters : tuple of str
        Parameters of the table of alternatives; floor and exponents when empty.
    text : tuple of str
        Paragraphs. ``$a_m$`` sets a symbol; ``{fit.a_m}`` and ``{besiroglu2024.alpha}`` stand for numbers.
    figures : tuple of Figure
        Figures; the usual ones of the kind when empty.
    new_page : bool
        Begin on a new page.
    """

    title: str
    fit: str = ""
    kind: str = "law"
    fits: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    cost: str = "6*params*tokens"
    compute: tuple[float, ...] = ()
    alternatives: tuple[str, ...] = ()
    laws: tuple[str, ...] = ()
    leave_out: str = "row"
    hold_out: str = ""
    clustered: str = ""
    published: tuple[Published, ...] = ()
    parameter: str = ""
    reference: float | None = None
    within: float = 0.0
    words: str = ""
    parameters: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    new_page: bool = False
