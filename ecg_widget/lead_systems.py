"""Leads of one system from those of another: published linear maps, as they were published.

All are regressions over groups of people or of one torso model. What they give resembles measured leads and is not
them: chest leads from three Frank leads miss what is local to an electrode.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecg_widget.heart_vector import DOWER
from ecg_widget.lead_swaps import INDEPENDENT, LIMB
from ecg_widget.leads import LEADS

__all__ = ["SYSTEMS", "System", "lead_named"]

FRANK = ("X", "Y", "Z")
"""Frank's orthogonal leads (Circulation 13 (1956) 737): to the left, to the feet, to the back."""

EASI = ("ES", "AS", "AI")
"""Dower's (J Electrocardiol 21 Suppl (1988) 182): sternum and axillary lines, less manubrium or left axillary line."""

# Rows X, Y, Z; columns I, II, V1 ... V6.
_INVERSE_DOWER = np.array(
    [
        [0.156, -0.010, -0.172, -0.074, 0.122, 0.231, 0.239, 0.194],
        [-0.227, 0.887, 0.057, -0.019, -0.106, -0.022, 0.041, 0.048],
        [0.022, 0.102, -0.229, -0.310, -0.246, -0.063, 0.055, 0.108],
    ]
)
_KORS = np.array(
    [
        [0.38, -0.07, -0.13, 0.05, -0.01, 0.14, 0.06, 0.54],
        [-0.07, 0.93, 0.06, -0.02, -0.05, 0.06, -0.17, 0.13],
        [0.11, -0.23, -0.43, -0.06, -0.14, -0.20, -0.11, 0.31],
    ]
)
# Rows I, II, V1 ... V6; columns ES, AS, AI.
_EASI = np.array(
    [
        [0.026, -0.174, 0.701],
        [-0.002, 1.098, -0.763],
        [0.641, -0.391, 0.080],
        [1.229, -1.050, 1.021],
        [0.947, -0.539, 0.987],
        [0.525, 0.004, 0.841],
        [0.179, 0.278, 0.630],
        [-0.043, 0.431, 0.213],
    ]
)


@dataclass(frozen=True)
class System:
    """A linear map from leads to leads.

    Parameters
    ----------
    needs
        Leads that it is given, in the order of the columns.
    gives
        Leads that it gives, in the order of the rows.
    matrix
        ``(give, need)``.
    source
        Who published it.
    """

    needs: tuple[str, ...]
    gives: tuple[str, ...]
    matrix: np.ndarray
    source: str


def _twelve(eight: np.ndarray) -> np.ndarray:
    """Rows of the twelve leads from those of the eight independent ones (Einthoven, Goldberger)."""
    rows = dict(zip(INDEPENDENT, eight, strict=True))
    rows |= {name: a * rows["I"] + b * rows["II"] for name, (a, b) in LIMB.items()}
    return np.stack([rows[name] for name in LEADS])


SYSTEMS = {
    "limb": System(
        ("I", "II"), ("III", "aVR", "aVL", "aVF"),
        np.array([LIMB[name] for name in ("III", "aVR", "aVL", "aVF")]), "Einthoven 1912, Goldberger 1942",
    ),
    "dower": System(FRANK, LEADS, _twelve(DOWER), "Dower et al., Clin Cardiol 3 (1980) 87"),
    "inverse dower": System(
        INDEPENDENT, FRANK, _INVERSE_DOWER, "Edenbrandt and Pahlm, J Electrocardiol 21 (1988) 361"
    ),
    "kors": System(INDEPENDENT, FRANK, _KORS, "Kors et al., Eur Heart J 11 (1990) 1083"),
    "easi": System(EASI, LEADS, _twelve(_EASI), "Feild et al., J Electrocardiol 35 Suppl (2002) 23"),
}  # fmt: skip
"""The maps by name."""


def lead_named(name: str) -> str:
    """Frank's and Dower's names for a lead's: ``vx``, ``VX`` and ``x`` are X; other names stay.

    Examples
    --------
    >>> [lead_named(name) for name in ("vx", "X", "es", "V1")]
    ['X', 'X', 'ES', 'V1']
    """
    key = name.upper()
    key = key[1:] if key in ("VX", "VY", "VZ") else key
    return key if key in (*FRANK, *EASI) else name
