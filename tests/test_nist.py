"""NIST Statistical Reference Datasets whose model is a sum of powers, to the certified digits.

Source: NIST/ITL StRD, nonlinear regression (DanWood) and linear regression (NoInt1, NoInt2).
"""

import numpy as np
import pandas as pd
import pytest

from scalefit.leastsq import fit

DANWOOD = (
    [2.138, 3.421, 3.597, 4.340, 4.882, 5.660],
    [1.309, 1.471, 1.490, 1.565, 1.611, 1.680],
    "y ~ b1*x^b2",
    {"b1": 7.6886226176e-01, "b2": 3.8604055871e00},
    {"b1": 1.8281973860e-02, "b2": 5.1726610913e-02},
    4.3173084083e-03,
)
NOINT1 = (
    list(range(130, 141)), list(range(60, 71)), "y ~ b1*x^1",
    {"b1": 2.07438016528926}, {"b1": 0.165289256198347e-01}, 127.272727272727,
)  # fmt: skip
NOINT2 = (
    [3, 4, 4],
    [4, 5, 6],
    "y ~ b1*x^1",
    {"b1": 0.727272727272727},
    {"b1": 0.420827318078432e-01},
    0.272727272727273,
)


@pytest.mark.parametrize("problem", [DANWOOD, NOINT1, NOINT2], ids=["DanWood", "NoInt1", "NoInt2"])
def test_certified_values(problem):
    y, x, law, values, errors, squares = problem
    frame = pd.DataFrame({"y": np.array(y, dtype=float), "x": np.array(x, dtype=float)})
    result = fit(frame, law, space="linear", uncertainty="gauss-newton")
    assert result.value == pytest.approx(squares, rel=5e-11)
    for name, certified in values.items():
        assert result[name].value == pytest.approx(certified, rel=5e-11)
        assert result[name].se == pytest.approx(errors[name], rel=5e-10)
