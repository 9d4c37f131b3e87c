"""Every number from which on a sentence changes: what is called identified, known, far, few or alike, and why there.

To change a limit, edit it here: rules, sentences, JSON and the table of the documentation follow. Tolerances and bounds
of the search are not limits of this kind and stand with their algorithm (`solver/design.py`).
"""

from __future__ import annotations

__all__ = [
    "ABOVE_ARRANGED",
    "AGREE",
    "ALIKE_CHOICES",
    "AS_RANDOM",
    "AT_ARRANGED",
    "AT_BOUND",
    "BAYES_FACTOR",
    "BENT",
    "BEYOND_REFERENCE",
    "CARRIER_DISTANCE",
    "CARRIER_ROWS",
    "CARRIER_SHARE",
    "CHECKPOINTS",
    "CLOSE_ERRORS",
    "CLOSE_LAWS",
    "CLUSTERING",
    "COMPATIBLE",
    "COVERAGE_CONFIDENCE",
    "DEAD_SHARE",
    "DEAD_SPARE",
    "DISAGREE",
    "DOUBTFUL_END",
    "DOUBTFUL_KHAT",
    "DOUBTFUL_SPREAD",
    "EXTRAPOLATED",
    "FACTOR_ERRORS",
    "FAR_FORECAST",
    "FEWER_ROWS",
    "FEWEST_BUDGETS",
    "FEWEST_RESAMPLED",
    "FEWEST_SIZES",
    "FEW_BUDGETS",
    "FEW_CLUSTERS",
    "FEW_ROWS",
    "FEW_SHIFTS",
    "FEW_TO_FORECAST",
    "FLAT_DIRECTION",
    "GOOD_DRAWS",
    "GOOD_ENERGY",
    "GOOD_KHAT",
    "GOOD_RHAT",
    "HEAVY_ERROR",
    "INVOLVED",
    "KNOWN_RATIO",
    "LABEL_ROWS",
    "LAWS_PART",
    "LAW_WEIGHT",
    "LONELY_START",
    "LOOSE_ENDS",
    "LOOSE_EXPONENT",
    "LOOSE_MINIMUM",
    "MANY_DIVERGENCES",
    "MANY_LABELS",
    "MANY_TIMES",
    "MIXED_BUDGETS",
    "MIXED_CHANCE",
    "MIXED_OVERLAP",
    "MIXED_RANGE",
    "MIXED_SCATTER",
    "MOST_CARRIERS",
    "MOST_FAILED",
    "MOST_LABELS",
    "NEARER",
    "NOISY_RUNS",
    "OPEN_DECADES",
    "OTHER_PRIORS",
    "PRIOR_DRAWS",
    "PRIOR_LED",
    "PRIOR_ONLY",
    "PRIOR_TAIL",
    "RARE_LEVEL",
    "RECTIFIED",
    "REPEATS_CHANCE",
    "REPEATS_EXPLAINED",
    "REPEATS_FACTOR",
    "REPEATS_SHARE",
    "REPRODUCED",
    "RIVAL_OPTIMUM",
    "SAME_WIDTH",
    "SATURATED",
    "SHAPE_VARIES",
    "SHORT_COVERAGE",
    "SHORT_RANGE",
    "SMALL_MOVE",
    "STANDS_STILL",
    "STEEP_EXPONENT",
    "STILL_MOVING",
    "STRONG_SUPERPOSITION",
    "SURE",
    "TRADE_OFF",
    "TRAPPED",
    "UNEQUAL_SCATTER",
    "UNEVEN_RANKS",
    "UNLIKE_CHANCES",
    "VANISHED_TERM",
    "WEAK_SUPERPOSITION",
    "WIDE_EXPONENT",
    "WIDE_GROWTH",
    "WIDE_INTERVAL",
    "WORN_TOKENS",
]

# A fit by least squares ----------------------------------------------------------------------------------------------

WIDE_EXPONENT = 2.0
"""An exponent is not identified when its 95% interval is wider: from flat to an inverse square, or from 1/x to 1/x^3,
all of it. The published fits of the shipped data stay a factor of two or more inside; fits of laws that these data
cannot carry pass it by a factor of ten."""

OPEN_DECADES = 2.0
"""A coefficient is not identified when the 95% interval of its term's size, where its column is at its centre, spans
more decades. The error of a coefficient is mostly that of its exponent times log(centre), which says nothing against
the term; this is what remains. Two decades leave open whether the term is most of the response or a hundredth of it."""

MOST_FAILED = 0.02
"""No interval is given when a larger share of the refits has no answer. Those without one are not a random sample: they
are the refits in which the law is hardest to identify, and 2% can hide most of one tail of a 95% interval (2.5%)."""

VANISHED_TERM = 1e-6
"""A term has vanished when it makes up a smaller part of every prediction: its exponent then means nothing."""

FLAT_DIRECTION = 1e-10
"""Parameters are not identified when the smallest eigenvalue of the scaled normal matrix is a smaller part of the
largest: they can change together without any change of the predictions, as far as double precision tells."""

INVOLVED = 0.1
"""A parameter belongs to a flat direction when its component there, of length 1, is larger."""

LONELY_START = 1e-3
"""A best point that one start reached is doubted when another start stopped within this relative gap above it."""

RIVAL_OPTIMUM = 3.84
"""Another local optimum is reported when it lies within this many units of chi-square (95%, one degree of freedom)."""

TRADE_OFF = 0.95
"""Two exponents trade off when their correlation is larger: the data fix a combination better than either."""

STEEP_EXPONENT = 4.0
"""An exponent beyond this is doubted: published exponents stay far below, and single odd rows make such ones."""

SHORT_RANGE = 10.0
"""A column whose values span a smaller factor gives an exponent that depends on the assumed form of the law."""

FEW_ROWS = 20
"""Below this many rows, errors and intervals are rough."""

FEW_CLUSTERS = 20
"""Below this many clusters, errors by cluster tend to be too small (Cameron and Miller 2015)."""

FEWEST_RESAMPLED = 6
"""Below this many clusters the bootstrap of clusters becomes the jackknife: of 400 simulated families of four models,
nominal 95% intervals of the bootstrap cover 79% and of the jackknife with Student's t 92%; of six models 97% both."""

RARE_LEVEL = 0.9
"""A level that a smaller share of the resamples holds is a warning and not a note."""

UNEQUAL_SCATTER = 1.5
"""Standard errors that are this many times those for equal, independent scatter are shown next to them."""

MANY_TIMES = 100.0
"""A ratio of two errors above this only says that one of them means nothing, and is not printed to the digit."""

# Rows that a law cannot explain --------------------------------------------------------------------------------------

MOST_CARRIERS = 5
"""Rows carry a misfit when at most this many make up most of it."""

CARRIER_ROWS = 0.05
"""And at most this part of all rows: of normal residuals the largest twentieth makes up 28% of the misfit."""

CARRIER_SHARE = 0.5
"""The part of the misfit, or of the variance of an estimate, that these rows have to make up."""

CARRIER_DISTANCE = 6.0
"""They must also lie this many robust standard deviations out, which a normal residual does once in 500 million: the
half that one of five rows makes up is not an outlier."""

REPEATS_SHARE = 0.5
"""Differences within a setting are reported when their variance is at least this part of that of all residuals; else
the law is the larger fault."""

REPEATS_EXPLAINED = 0.5
"""A column separates repeats when it explains a larger part of their differences."""

REPEATS_CHANCE = 1e-6
"""And when an F test calls that less likely: tables of a hundred columns without meaning pass once in 10,000."""

MOST_LABELS = 20
"""Labels of a column that could separate repeats; a column with more names the rows."""

LABEL_ROWS = 10.0
"""Unless each label has this many rows on average: 22 languages of 20 runs are kinds of runs."""

MANY_LABELS = 50
"""A column with more labels than this names the rows in any case."""

REPEATS_FACTOR = 1.2
"""Without such a column, repeats are reported when they typically differ by a larger factor; seeds of one setting
differ by less than 2%."""

MIXED_OVERLAP = 0.5
"""A label that explains the residuals is taken for a mixture when at least this part of the rows lies within the range
of another of its levels, in every column of the law; else it stands for the column, and the law may have the wrong
form."""

CHECKPOINTS = 4
"""Rows of one run, each with a step of its own, from which on they are taken for checkpoints of it."""

# A posterior ---------------------------------------------------------------------------------------------------------

GOOD_KHAT = 0.7
"""Importance sampling represents a posterior up to this Pareto shape (Vehtari et al. 2024)."""

DOUBTFUL_KHAT = 0.5
"""Above this Pareto shape the draws may miss a part of the tails. Standard deviations of 40 small tables, sampled
without covering the tails, were at most 12% too small up to it, and 34% above (tests/reference/small_posteriors.py)."""

DOUBTFUL_SPREAD = 0.35
"""How far off standard deviations have been at a doubtful Pareto shape."""

DOUBTFUL_END = 0.6
"""How far off ends of 90% intervals have been at a doubtful Pareto shape, in standard deviations."""

GOOD_DRAWS = 400
"""Effective draws that means and intervals need (Vehtari et al. 2021)."""

GOOD_RHAT = 1.01
"""Chains agree up to this R-hat (Vehtari et al. 2021)."""

GOOD_ENERGY = 0.3
"""Chains explore tails from this E-BFMI on (Betancourt 2016)."""

MANY_DIVERGENCES = 0.01
"""Chains with a larger share of divergent draws are not trusted."""

PRIOR_ONLY = 0.9
"""The data say nothing about a parameter whose posterior has more than this part of its prior's width."""

PRIOR_LED = 0.5
"""The posterior depends on the prior when it has more than this part of the prior's width."""

AT_BOUND = 0.1
"""An interval ends at a bound when it is nearer than this many posterior standard deviations."""

PRIOR_TAIL = 0.0005
"""Prior and data disagree when the posterior mean is less likely than these two outermost quantiles of the prior."""

FEW_SHIFTS = 10
"""Fewer clusters say little about the size of their common shift."""

# Comparisons ---------------------------------------------------------------------------------------------------------

SURE = 0.95
"""A statement holds from this probability on, and does not hold from 1 minus it down; between, it is open. The same
probability as that of the intervals, so that both give the same answer."""

WIDE_INTERVAL = 0.1
"""An interval that contains a reference does not establish it when half its width is a larger part of the reference.
The same part of the reference counts as equal to it where a question sets no region."""

DISAGREE = 0.01
"""Sources disagree when chance gives a larger chi-square less often. Smaller than 5%, because errors are estimates."""

AGREE = 0.1
"""Sources agree within their errors when chance gives a larger chi-square more often."""

BAYES_FACTOR = 20.0
"""A Bayes factor from which on evidence is strong (Kass and Raftery 1995), if it is so under every prior tried."""

FACTOR_ERRORS = 2.0
"""Monte Carlo errors by which a log Bayes factor must be beyond the limit, so that another seed does not change it."""

LOOSE_EXPONENT = 0.25
"""Runs determine an exponent only loosely when its standard error is a larger part of it: its 95% interval then reaches
from half of it to one and a half of it."""

HEAVY_ERROR = 2.0
"""A coefficient is printed without ± when its standard deviation is larger than this many times the one that its
interval implies for a normal: of 4,000 resamples, one at 30 times the estimate adds half of the estimate to it, and
leaves the interval as it was."""

OTHER_PRIORS = 2
"""Other priors under which a Bayes factor has to be known, before it is given a meaning."""

PRIOR_DRAWS = 400
"""Draws that must remain effective under another prior."""

BEYOND_REFERENCE = 10
"""Draws on each side of a reference that the posterior density there needs."""

CLOSE_LAWS = 4.0
"""Laws predict alike when their log scores differ by less (Sivula, Magnusson and Vehtari 2020)."""

CLOSE_ERRORS = 2.0
"""And when the difference is fewer of its standard errors."""

SHORT_COVERAGE = 0.1
"""Predictive intervals cover too few runs when their share falls short of the nominal one by more."""

UNLIKE_CHANCES = 0.3
"""An answer depends on the analysis when the probabilities that several analyses give differ by more."""

COMPATIBLE = 2.0
"""Standard errors within which a printed number is compatible with an optimum."""

REPRODUCED = 0.5
"""Standard errors within which a printed number is reproduced."""

NEARER = 0.5
"""A printed number belongs to another fit when its distance is less than this part of that to the main one."""

CLUSTERING = 0.05
"""Resampling by clusters changes an error when it changes it by a larger part."""

# Best use of compute -------------------------------------------------------------------------------------------------

KNOWN_RATIO = 1.5
"""A ratio is known when the ends of its interval are nearer than this factor."""

EXTRAPOLATED = 10.0
"""Times the largest run, from which on an optimum is called an extrapolation."""

ALIKE_CHOICES = 1.25
"""Choices agree when their answers differ by a smaller factor, and part by extrapolation when they differ by that much
more beyond the runs than among them."""

LOOSE_MINIMUM = 0.5
"""A minimum is left out when the error of its logarithm is larger: it is known to a factor only."""

WIDE_GROWTH = 0.5
"""A power of compute is not identified when its interval is wider: it could be anything between 0 and 1."""

FEWEST_SIZES = 4
"""Sizes of runs that a budget needs for a parabola: through three, it has no error."""

FEWEST_BUDGETS = 3
"""Minima that a line with an interval needs."""

FEW_BUDGETS = 6
"""Below this many budgets a line rests on few."""

MIXED_SCATTER = 1.5
"""Levels differ when the scatter of their runs merged is this many times that within levels."""

MIXED_CHANCE = 1e-3
"""And when levels that do not differ would separate the runs so well less often, over all columns tried."""

MIXED_RANGE = 0.5
"""A level has to cover this part of the range of sizes of its budget: a label chosen by size is not an experiment."""

MIXED_BUDGETS = 2
"""Budgets that several levels must have in common."""

# Toy models and 1/m --------------------------------------------------------------------------------------------------

STRONG_SUPERPOSITION = 0.5
"""Superposition is strong from this far on the way from as many represented features as dimensions to all of them."""

WEAK_SUPERPOSITION = 2.0
"""Superposition is weak when at most this many features are represented per dimension."""

SATURATED = 0.9
"""A width is saturated when the local exponent of the loss is below this: random directions have 0.9 to 1 above."""

AS_RANDOM = (0.85, 1.1)
"""A loss between these multiples of that of random directions is as theirs; theory meets trained biases within 7%."""

ABOVE_ARRANGED = 1.25
"""A loss above this multiple of the best arrangement's is not at its optimum; converged models lie within 20%."""

AT_ARRANGED = 1.05
"""Up to this multiple of the best arrangement's loss dead outputs are no limit: they cost next to nothing."""

DEAD_SHARE = 0.1
"""Dead outputs limit a loss when more than this share of it is theirs, and when fewer are alive than theory keeps."""

DEAD_SPARE = 0.02
"""And when they are fewer by more than this share of the outputs."""

TRAPPED = 0.05
"""Dead outputs were a trap when the loss falls by more than this, and by two errors, once their biases are reset."""

STILL_MOVING = 0.05
"""An exponent has not converged when it changes by more, and by more than two errors, over half of the training."""

STANDS_STILL = 0.1
"""An exponent has converged when change and error together are at most this."""

BENT = 0.01
"""A law is bent when chance bends a straight one as much less often."""

# One answer under many choices ---------------------------------------------------------------------------------------

SMALL_MOVE = 0.5
"""A choice that moves the answer by less of its standard deviation hardly matters."""

SAME_WIDTH = 1.25
"""The standard deviation changes with a choice when it grows by a larger factor, or falls by one."""

# What intervals cover ------------------------------------------------------------------------------------------------

UNEVEN_RANKS = 0.05
"""Ranks are not uniform when chance alone makes any parameter's as uneven less often; shared among the parameters."""

COVERAGE_CONFIDENCE = 0.95
"""Coverage is off when the nominal level lies outside its exact confidence limits of this level."""

# Forecasts -----------------------------------------------------------------------------------------------------------

SHAPE_VARIES = 0.3
"""A forecast asks what width over depth does where powers of params and tokens leave its logarithm a larger scatter: on
public tables it is either below 0.2, where runs say nothing of it, or above 0.4."""

FAR_FORECAST = 100.0
"""A forecast is called far at more times the compute of the largest run: few public tables reach so far."""

FEW_TO_FORECAST = 10
"""With fewer runs the priors decide much of a forecast."""

FEWER_ROWS = 0.9
"""Rows are said to stand for fewer runs when the runs are a smaller part of them."""

NOISY_RUNS = 0.02
"""Runs scatter much when the scale of their log losses is larger: on such public tables, mostly with poor
hyperparameters, intervals held less often."""

RECTIFIED = 0.5
"""Losses are called flat at first, as in fine-tuning, when the rectified law has a larger share."""

WORN_TOKENS = 4.0
"""More passes over unique tokens are worth less than new tokens (Muennighoff et al. 2023)."""

LAWS_PART = 0.5
"""Laws disagree when their part of a forecast's variance is larger."""

LOOSE_ENDS = 0.1
"""A forecast whose interval would move by more than this share of its width with other draws is warned of."""

LAW_WEIGHT = 0.005
"""A law of a forecast with a smaller share, printed as 0%, is not warned of."""
