"""Where do the forwards of a round stand under the roof?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from app.style import (
    BASELINE_COLOUR,
    FIDELITY_COLOURS,
    MEASURED,
    NEUTRAL,
    TAU_COLOUR,
    new_figure,
    wide_legend,
)
from simulator import Hardware, RooflinePoint, StageTime, roof

_MARKS = {
    "prefill": (BASELINE_COLOUR, "square"),
    "decode": (FIDELITY_COLOURS["L2"], "circle"),
    "verify": (MEASURED, "diamond"),
    "draft": (TAU_COLOUR, "triangle-up"),
}


def roofline_chart(
    hardware: Hardware,
    dtype: str,
    time: StageTime,
    points: Mapping[str, tuple[str, RooflinePoint]],
    *,
    origin: str,
    height: int = 460,
) -> go.Figure:
    """Arithmetic per second over intensity, both logarithmic.

    Parameters
    ----------
    hardware : Hardware
        Its peaks are the solid roof.
    dtype : str
        Of the arithmetic.
    time : StageTime
        What a forward is taken to reach of them is the dashed roof.
    points : mapping of str to (str, RooflinePoint)
        ``prefill``, ``decode``, ``verify``, ``draft``, each with its legend.
    origin : str
        How the peaks came about: published, measured or assumed.
    height : int
        [pixels]

    Returns
    -------
    go.Figure
    """
    figure = new_figure("arithmetic intensity [FLOP/byte]", "arithmetic done [TFLOP/s]", height)
    peak, ridge = hardware.peak(dtype), hardware.ridge_point(dtype)
    intensities = [point.intensity for _, point in points.values()] + [ridge]
    low, high = min(intensities) / 3, max(intensities) * 3
    x = np.geomspace(low, high, 60)
    roofs = (
        (f"{origin} peak", hardware.bandwidth, peak, "solid", origin),
        ("assumed reach", time.bandwidth, time.flop_per_second, "dash", "assumed"),
    )
    same = (time.bandwidth, time.flop_per_second) == (hardware.bandwidth, peak)
    for name, bandwidth, rate, dash, how in roofs[: 1 if same else 2]:
        figure.add_scatter(
            x=x,
            y=roof(x, bandwidth, rate) / 1e12,
            mode="lines",
            name=name,
            line={"color": NEUTRAL, "width": 2.5, "dash": dash},
            hovertemplate=f"{name}: {bandwidth / 1e9:.4g} GB/s, {rate / 1e12:.4g} TFLOP/s"
            f"<br>{how}<extra></extra>",
        )
    figure.add_vline(x=ridge, line={"color": NEUTRAL, "width": 1, "dash": "dot"})
    for key, (name, point) in points.items():
        colour, symbol = _MARKS[key]
        figure.add_scatter(
            x=[point.intensity],
            y=[point.flop_per_second / 1e12],
            mode="markers",
            name=name,
            marker={"color": colour, "size": 14, "symbol": symbol},
            hovertemplate=f"{name}<br>{point.intensity:.3g} FLOP/byte"
            f"<br>{point.flop_per_second / 1e12:.3g} TFLOP/s, {1e3 * point.seconds:.3g} ms"
            f"<br>bound by {point.bound}<br>modelled from sizes and assumed rates<extra></extra>",
        )
    figure.update_xaxes(type="log", exponentformat="none", dtick=1)
    figure.update_yaxes(type="log", exponentformat="none", dtick=1)
    wide_legend(figure)
    return figure
