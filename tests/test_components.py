"""Parts of a law that share no parameter: those that SciPy finds in the graph of its levels."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from scalefit.law.additive import Law
from scalefit.problem import build_problem
from scalefit.solver.components import split


def parts(pairs):
    """Parts of ``y ~ E[f] + A[g]/x^1`` for the pairs of levels that the rows hold, as sets of pairs."""
    rows = [{"x": x, "y": 1 + 1 / x, "f": f"f{i}", "g": f"g{j}"} for i, j in pairs for x in (1.0, 2.0, 4.0, 8.0)]
    return split(build_problem(Law.parse("y ~ E[f] + A[g]/x^1"), pd.DataFrame(rows)).design.law)


def test_levels_joined_through_others_are_one_part():
    """The third pair joins what the first two hold apart; the levels that it lacks come along."""
    assert len(parts([(0, 0), (1, 1)])) == 2
    assert len(parts([(0, 0), (1, 1), (0, 1)])) == 1
    assert len(parts([(0, 1), (1, 0), (1, 1)])) == 1


@pytest.mark.parametrize("seed", range(10))
def test_parts_are_the_connected_components_of_levels(seed):
    rng = np.random.default_rng(seed)
    pairs = sorted({(int(i), int(j)) for i, j in rng.integers(0, 8, (9, 2))})
    floors, terms = ({before[side] for before in pairs} for side in (0, 1))
    graph = coo_array((np.ones(len(pairs)), ([i for i, _ in pairs], [8 + j for _, j in pairs])), shape=(16, 16))
    lonely = 16 - len(floors) - len(terms)  # levels that no row holds
    count, _ = connected_components(graph, directed=False)
    found = parts(pairs)
    assert len(found) == count - lonely
    assert sum(len(part.law.response) for part in found) == 4 * len(pairs)
    numbers = np.concatenate([part.parameters for part in found])
    assert sorted(numbers) == list(range(len(floors) + len(terms)))
