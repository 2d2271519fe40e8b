"""The heart as one moving dipole: the waves of each diagnosis as Gaussians in space, and the leads that see them.

The dipole's three components are sums of Gaussian bumps, one or more for each wave of the ECG: McSharry et al., IEEE
Trans. Biomed. Eng. 50 (2003) 289, in three dimensions as Sameni et al., EURASIP J. Adv. Signal Process. (2007) 043407;
here with a width for each flank. Frame (Frank's): x to the patient's left, y to the feet, z to the back. The leads are
those of Dower et al., Clin. Cardiol. 3 (1980) 87: a linear map from x, y, z to I, II and V1-V6; the other four follow.

Amplitudes and times are our own, chosen so that the 12 leads meet the usual criteria of each diagnosis (tests hold
them to these): inferior infarction with Q waves and ST elevation in II, III, aVF; Sokolow-Lyon voltage and strain; left
and right bundle branch block with QRS >= 120 ms and their V1 and V6; and so on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SUPPORT = 2.3
"""Half width of a wave's truth, in standard deviations: there a Gaussian is at 7 % of its peak, about where a reader
of a 0.15 mV P wave in 0.01 mV of noise sees it begin."""

P, QRS, T, ST = 1, 2, 3, 0  # values of the variable ``wave``; the ST segment is no wave of its own

CLASSES = {
    "NORM": "normal sinus rhythm",
    "IMI": "inferior myocardial infarction: Q waves and ST elevation in II, III, aVF",
    "CLBBB": "complete left bundle branch block",
    "CRBBB": "complete right bundle branch block",
    "INVT": "anterolateral T-wave inversion",
    "LVH": "left ventricular hypertrophy: voltage and strain",
    "AFIB": "atrial fibrillation",
}
"""Target names (SCP-ECG statement codes as PTB-XL uses them) and what they stand for."""

DOWER = np.array(
    [
        [0.632, -0.235, 0.059],
        [0.235, 1.066, -0.132],
        [-0.515, 0.157, -0.917],
        [0.044, 0.164, -1.387],
        [0.882, 0.098, -1.277],
        [1.213, 0.127, -0.601],
        [1.125, 0.127, -0.086],
        [0.831, 0.076, 0.230],
    ]
)
"""Dower et al. 1980: rows I, II, V1 to V6, columns x, y, z."""

ELECTRODES = ("RA", "LA", "LL", "V1", "V2", "V3", "V4", "V5", "V6")
# I = LA - RA, II = LL - RA, Vn = its electrode less the mean of the three limbs (Wilson's terminal).
_WIRING = np.zeros((8, 9))
_WIRING[0, :2] = -1, 1
_WIRING[1, [0, 2]] = -1, 1
_WIRING[2:, :3] = -1 / 3
_WIRING[2:, 3:] = np.eye(6)


@dataclass(frozen=True)
class Beat:
    """The Gaussians of one beat: ``n`` components.

    ``kind`` (n,) is the wave each belongs to. ``time``, ``rise``, ``fall`` (n,), s: peak and the standard deviations of
    the two flanks; times of QRS count from its onset, of P from its own onset, of ST from the QRS's end, and of T from
    its own end, backwards. ``xyz`` (n, 3), mV.
    """

    kind: np.ndarray
    time: np.ndarray
    rise: np.ndarray
    fall: np.ndarray
    xyz: np.ndarray


_Row = tuple[float, float, float, tuple[float, float, float]]

# (peak ms, rise ms, fall ms, (x, y, z) mV). Right atrium (to the front) before left atrium (to the back): V1 biphasic.
_P: list[_Row] = [(38, 16, 16, (0.055, 0.080, -0.042)), (64, 16, 16, (0.090, 0.065, 0.042))]

# Septum (right, front), free walls from the front to the left and back, base (back, right, up).
_QRS: list[_Row] = [
    (16, 6, 6, (-0.16, -0.06, -0.24)),
    (30, 7, 7, (0.55, 0.40, -0.42)),
    (42, 8, 8, (0.95, 0.72, 0.38)),
    (55, 8, 8, (0.22, 0.06, 0.70)),
    (68, 7, 7, (-0.16, -0.22, 0.16)),
]
# The infarct is silent: the first 40 ms point away from the inferior wall.
_QRS_IMI: list[_Row] = [
    (16, 6, 6, (-0.10, -0.20, -0.22)),
    (27, 9, 8, (0.45, -0.52, -0.35)),
    (44, 8, 8, (0.90, 0.30, 0.38)),
    (57, 8, 8, (0.22, 0.30, 0.62)),
    (70, 7, 7, (-0.14, -0.05, 0.14)),
]
# The left ventricle is reached through muscle: slowly, leftward and backward throughout, a notch between two fronts.
_QRS_LBBB: list[_Row] = [
    (28, 11, 11, (0.26, 0.16, 0.08)),
    (54, 13, 13, (0.92, 0.42, 0.90)),
    (72, 12, 12, (0.06, 0.04, 0.38)),
    (89, 13, 14, (0.94, 0.12, 1.05)),
    (118, 11, 12, (0.20, -0.08, 0.26)),
]
# Normal to 60 ms, then the right ventricle alone: slowly, to the right and front.
_QRS_RBBB: list[_Row] = [
    (16, 6, 6, (-0.16, -0.06, -0.26)),
    (30, 7, 7, (0.50, 0.40, -0.30)),
    (42, 8, 8, (0.92, 0.66, 0.32)),
    (55, 8, 8, (0.20, 0.05, 0.28)),
    (88, 15, 18, (-0.44, -0.04, -0.66)),
]
_QRS_LVH: list[_Row] = [
    (16, 6, 6, (-0.18, -0.06, -0.26)),
    (31, 7, 7, (0.75, 0.45, -0.35)),
    (45, 9, 9, (1.75, 0.75, 0.85)),
    (59, 8, 8, (0.55, 0.10, 1.25)),
    (72, 7, 7, (-0.14, -0.18, 0.25)),
]
_QRS_BY_CLASS = {"IMI": _QRS_IMI, "CLBBB": _QRS_LBBB, "CRBBB": _QRS_RBBB, "LVH": _QRS_LVH}
QRS_MS = {"CLBBB": (145, 8, 128, 170), "CRBBB": (136, 7, 124, 156), "LVH": (101, 5, 90, 112), "IMI": (100, 5, 88, 112)}
"""Duration: mean, standard deviation, least, most; `QRS_MS_NORMAL` for the other classes."""
QRS_MS_NORMAL = (92, 6, 82, 108)

# ST: peak after the end of QRS. T: peak before its own end in units of the falling flank; slow rise, quick fall.
_ST: dict[str, list[_Row]] = {
    "NORM": [(60, 40, 50, (0.030, 0.022, -0.045))],
    "IMI": [(20, 22, 70, (-0.07, 0.21, 0.05)), (95, 50, 55, (-0.04, 0.16, 0.03))],
    "CLBBB": [(30, 30, 80, (-0.13, -0.02, -0.22))],
    "CRBBB": [(45, 30, 45, (0.02, 0.01, 0.08))],
    "INVT": [(70, 40, 50, (-0.05, -0.01, 0.03))],
    "LVH": [(30, 28, 80, (-0.16, -0.05, -0.13))],
}
_T: dict[str, tuple[float, float, tuple[float, float, float]]] = {  # rise ms, fall ms at QT 400 ms
    "NORM": (52, 33, (0.27, 0.20, -0.22)),
    "IMI": (46, 36, (0.12, 0.17, -0.12)),
    "CLBBB": (55, 36, (-0.33, -0.06, -0.42)),
    "CRBBB": (50, 34, (0.26, 0.18, 0.12)),
    "INVT": (40, 38, (-0.31, -0.06, 0.17)),
    "LVH": (58, 30, (-0.38, -0.12, -0.22)),
}


def beat(name: str) -> Beat:
    """Give the typical beat of a class; QRS spans its support from 0 on, in s.

    Examples
    --------
    >>> normal = beat("NORM")
    >>> int((normal.kind == QRS).sum()), float((normal.time - SUPPORT * normal.rise)[normal.kind == QRS].min().round(6))
    (5, 0.0)
    """
    p = [] if name == "AFIB" else _P
    qrs = _QRS_BY_CLASS.get(name, _QRS)
    st = _ST.get(name, _ST["NORM"])
    rise, fall, t_xyz = _T.get(name, _T["NORM"])
    rows = [*p, *qrs, *st, (-SUPPORT * fall, rise, fall, t_xyz)]
    kind = np.array([P] * len(p) + [QRS] * len(qrs) + [ST] * len(st) + [T])
    time, up, down = (np.array([row[i] for row in rows], dtype=np.float64) / 1000 for i in range(3))
    for wave in (P, QRS):
        mine = kind == wave
        if mine.any():
            time[mine] -= (time - SUPPORT * up)[mine].min()
    return Beat(kind, time, up, down, np.array([row[3] for row in rows]))


def rotation(frontal: float, horizontal: float) -> np.ndarray:
    """Turn the heart: `frontal` degrees towards the feet (the ECG's axis), then `horizontal` degrees to the back.

    Examples
    --------
    >>> (rotation(90, 0) @ [1, 0, 0]).round(6).tolist()
    [0.0, 1.0, 0.0]
    """
    a, b = np.deg2rad([frontal, horizontal])
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_y = np.array([[np.cos(b), 0, -np.sin(b)], [0, 1, 0], [np.sin(b), 0, np.cos(b)]])
    turn: np.ndarray = about_y @ about_z
    return turn


def leads_of(dipole: np.ndarray, electrodes: np.ndarray | None = None) -> np.ndarray:
    """Project the dipole and what the electrodes pick up on the 12 leads.

    Parameters
    ----------
    dipole
        ``(3, time)``, mV: x, y, z.
    electrodes
        ``(9, time)``, mV: disturbances at `ELECTRODES`.

    Returns
    -------
    numpy.ndarray
        ``(12, time)`` float32, mV, in the order of `ecg_widget.records.LEADS`. Einthoven's and Goldberger's relations
        hold with the disturbances too, since those enter at the electrodes.

    Examples
    --------
    >>> lead = leads_of(np.ones((3, 1)))
    >>> bool(np.isclose(lead[0] + lead[2], lead[1])[0])
    True
    """
    measured = DOWER @ dipole
    if electrodes is not None:
        measured = measured + _WIRING @ electrodes
    out = np.empty((12, dipole.shape[1]), np.float32)
    out[:2], out[6:] = measured[:2], measured[2:]
    one, two = out[0], out[1]
    out[2], out[3], out[4], out[5] = two - one, -(one + two) / 2, one - two / 2, two - one / 2
    return out
