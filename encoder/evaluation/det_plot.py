"""The detection error trade-off as a picture (Martin et al. 1997, "The DET curve in assessment of
detection task performance"): missed same-speaker trials over falsely accepted ones.

Both axes are stretched by the inverse of the normal distribution, so that scores which are normally
distributed give a straight line; a point on each curve marks the equal error rate.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from encoder.common.atomic_files import replacing
from encoder.errors import BackendUnavailable, CorpusError, FormatError
from encoder.evaluation.metrics import equal_error, operating_points

__all__ = ["check_picture", "det_points", "draw_det"]

TICKS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
_PLACES = 250  # of a unit of the stretched axes: a pixel or less
# The same curves give the same file: no date in it, no random names.
_DATES: dict[str, dict[str, None]] = {
    "png": {},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
}


def det_points(
    scores: ArrayLike, is_target: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """False acceptance and miss rates (P,) of scores (N,) with truth (N,), thresholds rising.

    CorpusError without both kinds of trial.
    """
    points = operating_points(scores, is_target)
    return points.accepted_others, points.rejected_targets


def check_picture(out: str | Path) -> None:
    """Raise now what `draw_det` would raise for that name: BackendUnavailable or FormatError."""
    if find_spec("matplotlib") is None:
        raise BackendUnavailable(
            f"drawing {str(out)!r} needs matplotlib: pip install 'deepspeaker-diarize[train]', or "
            "go without the picture"
        )
    if _kind(out) not in _DATES:
        raise FormatError(f"cannot draw {str(out)!r}: give a name that ends in .png, .svg or .pdf")


def draw_det(
    curves: Mapping[str, tuple[ArrayLike, ArrayLike]], out: str | Path, *, title: str = ""
) -> Path:
    """Draw named curves, each scores (N,) with truth (N,), into `out` and return its path.

    The suffix chooses the format: png, svg or pdf. Written in one piece. Raises BackendUnavailable
    without matplotlib, FormatError for another suffix, StoreError if `out` cannot be written,
    CorpusError for no curve, or one without both kinds of trial.
    """
    out = Path(out)
    if not curves:
        raise CorpusError(f"there is no curve to draw into {str(out)!r}: give some trials")
    check_picture(out)
    import matplotlib
    from matplotlib.figure import Figure
    from scipy.special import ndtri

    figure = Figure(figsize=(5.5, 5.5), layout="constrained")
    axes = figure.subplots()
    lowest = 0.5
    for number, (name, (scores, is_target)) in enumerate(curves.items()):
        false_alarm, miss = det_points(scores, is_target)
        rate, _ = equal_error(miss, false_alarm)
        # A rate of 0 or 1 is at infinity: the curve ends a trial's half before it.
        sides = np.asarray(is_target, bool)
        ends = 0.5 / (~sides).sum(), 0.5 / sides.sum()
        x, y = (
            ndtri(np.clip(rates, end, 1 - end))
            for rates, end in zip((false_alarm, miss), ends, strict=True)
        )
        # A million trials would be a million points: those of one place are drawn once.
        place = np.round(np.stack([x, y]) * _PLACES)
        some = np.append(True, (np.diff(place) != 0).any(axis=0))
        colour = f"C{number}"
        label = f"{name}: EER {100 * rate:.1f} %".replace("$", r"\$")  # no formula
        axes.plot(x[some], y[some], color=colour, label=label)
        at = ndtri(max(rate, min(ends)))
        axes.plot([at], [at], "o", color=colour)
        lowest = min(lowest, rate, *ends)
    first = max((tick for tick in TICKS if tick <= lowest), default=TICKS[0])
    shown = [tick for tick in TICKS if tick >= first]
    places, names = ndtri(shown), [f"{100 * tick:g}" for tick in shown]
    limits = ndtri(first * 0.8), ndtri(0.9)
    axes.plot(limits, limits, ":", color="0.8", zorder=0)
    axes.set(xlabel="different speakers accepted, %", ylabel="same speakers rejected, %")
    axes.set(xlim=limits, ylim=limits, title=title, aspect="equal")
    axes.set_xticks(places, names)
    axes.set_yticks(places, names)
    axes.grid(color="0.9")
    axes.legend()
    drawn = io.BytesIO()
    kind = _kind(out)
    with matplotlib.rc_context({"svg.hashsalt": "det"}):
        figure.savefig(drawn, format=kind, dpi=120, metadata=_DATES[kind])
    with replacing(out, what="the picture ") as partial:
        partial.write_bytes(drawn.getvalue())
    return out


def _kind(out: str | Path) -> str:
    return Path(out).suffix.removeprefix(".").lower() or "png"
