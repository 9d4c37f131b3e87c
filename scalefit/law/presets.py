"""Every law that has a name: formula, columns and the paper it comes from. This is the only list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

__all__ = ["LAWS", "Preset"]


@dataclass(frozen=True)
class Preset:
    """A law with a name.

    Parameters
    ----------
    law : str
        Its text.
    source : str
        The paper that the form comes from, or whose question it is.
    note : str
        What to know before using it.
    columns : tuple of str
        Of a law of any form, which of its names are columns; a sum of power terms says so itself.
    data : str
        A shipped set to try it on; empty for none.
    linear : bool
        Whether it is fitted to the response itself and not to its logarithm.
    """

    law: str
    source: str
    note: str = ""
    columns: tuple[str, ...] = ()
    data: str = ""
    linear: bool = False


_HOFFMANN = "Hoffmann et al. 2022 (arXiv:2203.15556)"
_KAPLAN = "Kaplan et al. 2020 (arXiv:2001.08361)"
_LIU = "Liu, Liu and Gore 2025 (arXiv:2505.10465)"
_LINEAR = "the response may be at or below 0: --space linear"

LAWS: Final[Mapping[str, Preset]] = MappingProxyType(
    {
        "annealing": Preset(
            "loss ~ E + A/s1^alpha - C*s2",
            "Tissue, Wang and Wang 2024 (arXiv:2408.11029)",
            "s1 is the sum of learning rates so far, s2 the annealing area",
            columns=("s1", "s2"),
            data="annealing",
        ),
        "broken": Preset(
            "loss ~ a + b*examples^(-c0)*(1 + (examples/d1)^(1/f1))^(-c1*f1) with c0 free, c1 free",
            "Caballero et al. 2022 (arXiv:2210.14891), one break",
            columns=("examples",),
        ),
        "chinchilla": Preset("loss ~ E + A/params^alpha + B/tokens^beta", _HOFFMANN, data="chinchilla"),
        "coupled": Preset(
            "loss ~ E + (A/params^alpha + B/tokens^beta)^gamma",
            "Videau et al. 2026, Skaling (arXiv:2608.07222), as public summaries print it",
            columns=("params", "tokens"),
            data="chinchilla",
        ),
        "data_constrained": Preset(
            "loss ~ E + A/(UN*(1 + rN*(1 - exp(-max(params/UN - 1, 0)/rN))))^alpha + "
            "B/(unique_tokens*(1 + rD*(1 - exp(-max(tokens/unique_tokens - 1, 0)/rD))))^alpha "
            "where UN = min(params, G*unique_tokens) "
            "with E = 1.8691436784054858, A = 520.8249516599187, B = 1487.716093782861, alpha = 0.3526596, "
            "G = (A/B)^(1/alpha)",
            "Muennighoff et al. 2023 (arXiv:2305.16264)",
            "E, A, B and alpha are the paper's, from runs of one epoch; rN and rD are fitted",
            columns=("params", "unique_tokens", "tokens"),
            data="datablations",
        ),
        "depth_width_params": Preset(
            "loss ~ E + c_m/width^a_m + c_l/depth^a_l + c_N/params^a_N + c_D/tokens^a_D", _LIU
        ),
        "family_width": Preset("loss ~ E[family, eval_set] + A/width^alpha", _LIU, data="llm_families"),
        "gadre": Preset(
            "loss ~ E + A/params^alpha + B/tokens^alpha",
            "Gadre et al. 2024 (arXiv:2403.08540)",
            "their E + (a M^eta + b M^-eta) C^-eta, with C = 6 params tokens, M = tokens/params and alpha = 2 eta",
            data="open_lm",
        ),
        "kaplan": Preset(
            "loss ~ ((Nc/params)^(aN/aD) + Dc/tokens)^aD",
            f"{_KAPLAN}, equation 1.5",
            columns=("params", "tokens"),
            data="chinchilla",
        ),
        "mixing": Preset(
            "loss_academic ~ c + exp(t1*r_academic + t2*r_prose + t3*r_dialogue + t4*r_symbolic + t5*r_internet)",
            "Ye et al. 2024 (arXiv:2403.16952)",
            "for one domain; its factor k is in the t, as the shares r add up to 1",
            columns=("r_academic", "r_prose", "r_dialogue", "r_symbolic", "r_internet"),
            data="mixing",
        ),
        "params": Preset("loss ~ E + A/params^alpha", f"{_KAPLAN}, with a floor"),
        "parscale": Preset(
            "loss ~ E + (A/(params*(1 + k*log(streams))))^alpha",
            "Chen et al. 2025 (arXiv:2505.10475)",
            columns=("params", "streams"),
            data="parscale",
        ),
        "power_product": Preset(
            "lr ~ c*params^a*tokens^b with a free, b free",
            "Li et al. 2025 (arXiv:2503.04715)",
            "the best learning rate of a model size and a number of tokens",
            columns=("params", "tokens"),
            data="steplaw_optimum",
        ),
        "precision": Preset(
            "loss ~ E + A/NE^alpha + B/tokens^beta where NE = params*(1 - exp(-bits/g))",
            "Kumar et al. 2024 (arXiv:2411.04330), weights alone",
            columns=("params", "bits", "tokens"),
        ),
        "rectified": Preset(
            "loss ~ B/(Dl + examples^beta) + E", "Lin et al. 2024 (arXiv:2402.02314)", columns=("examples",), data="sft"
        ),
        "routed": Preset(
            "loss ~ exp(a*log(params) + b*log(X) + c*log(params)*log(X) + d) "
            "where X = 1/(1/(experts - 1 + 1/(1/Es - 1/Em)) + 1/Em)",
            "Clark et al. 2022 (arXiv:2202.01169)",
            columns=("params", "experts"),
            data="routed",
        ),
        "sigmoid_accuracy": Preset(
            "acc ~ a/(1 + exp(-k*(bpb - x0))) + b with a < 0, k > 0, b in [0, 1]",
            "Bhagia et al. 2024 (arXiv:2412.04403), step 2",
            "fitted to the accuracy itself: --space linear",
            columns=("bpb",),
            data="ladder_curves",
            linear=True,
        ),
        "tokens": Preset("loss ~ E + B/tokens^beta", f"{_KAPLAN}, with a floor"),
        "universal": Preset("loss ~ E + c_m/width^1 + c_l/depth^1 + c_D/tokens^(1/3)", _LIU),
        "vocabulary": Preset(
            "loss_u ~ -E + A1/params_nv^beta + A2/(vocab*width)^alpha2 + B/tokens^beta",
            "Tao et al. 2024 (arXiv:2407.13623)",
            _LINEAR,
            columns=("params_nv", "vocab", "width", "tokens"),
            data="vocabulary",
            linear=True,
        ),
        "width": Preset("loss ~ E + A/width^alpha", _LIU, data="chinchilla"),
        "width_depth": Preset("loss ~ E + c_m/width^a_m + c_l/depth^a_l + c_D/tokens^a_D", _LIU, data="chinchilla"),
        "width_depth_fixed": Preset("loss ~ E + c_m/width^1 + c_l/depth^1 + c_D/tokens^a_D", _LIU),
    }
)
"""Laws that have a name, with their sources and, where they are not sums of powers, their columns."""
