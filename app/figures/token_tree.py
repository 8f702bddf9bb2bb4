"""What does a token tree look like, and how likely is each of its nodes?"""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from app.style import FIDELITY_COLOURS, MEASURED, NEUTRAL, new_figure
from app.words import percent
from simulator import Parents, child_ranks, tree_depths

_ROOT = "pending token"
TALLEST = 2000
"""Of the drawing; rows of large trees move together. [pixels]"""
ROOM = 22
"""Between rows, for a node's number to be written. [pixels]"""


def node_names(parents: Parents) -> tuple[str, ...]:
    """The pending token, then every node by the ranks that lead to it.

    Examples
    --------
    >>> node_names((-1, -1, 1))
    ('pending token', 'node 0 (ranks 0)', 'node 1 (ranks 1)', 'node 2 (ranks 1-0)')
    """
    paths: dict[int, str] = {}
    for node, (parent, rank) in enumerate(zip(parents, child_ranks(parents), strict=True)):
        paths[node] = f"{paths[parent]}-{rank}" if parent >= 0 else str(rank)
    return (_ROOT, *(f"node {node} (ranks {path})" for node, path in paths.items()))


def token_tree(
    parents: Parents, probabilities: Sequence[float], chosen: int | None = None
) -> go.Figure:
    """The tree from left to right, likely branches on top.

    Parameters
    ----------
    parents : tuple of int
    probabilities : sequence of float
        P(a round keeps the node), per node. [unitless]
    chosen : int, optional
        A node to mark; -1 is the pending token.

    Returns
    -------
    go.Figure
    """
    rows = _rows(parents)
    depths = (0, *tree_depths(parents))
    leaves = 1 + max(rows)
    step = min(34.0, TALLEST / leaves)  # pixels from row to row
    figure = new_figure("depth [tokens ahead]", "", 110 + int(step * leaves))
    _add_branches(figure, parents, probabilities, depths, rows)
    chances, names = [1.0, *probabilities], node_names(parents)
    largest = min(12.0, 0.8 * step)
    figure.add_scatter(
        x=depths,
        y=rows,
        mode="markers+text",
        marker={
            "size": [max(largest * (1 + chance), 5) for chance in chances],
            "color": [MEASURED] + [FIDELITY_COLOURS["L2"]] * len(parents),
            "opacity": 1,
            "symbol": ["diamond"] + ["circle"] * len(parents),
        },
        text=[""] + [percent(chance, 0) if step >= ROOM else "" for chance in probabilities],
        textposition="top center",
        textfont={"size": 12},
        showlegend=False,
        customdata=[
            [-1, _ROOT],
            *(
                [
                    node,
                    f"{names[node + 1]}<br>kept by {percent(chance)} of the rounds,"
                    " modelled:<br>measured shares of ranks, positions independent",
                ]
                for node, chance in enumerate(probabilities)
            ),
        ],
        hovertemplate="%{customdata[1]}<extra></extra>",
        # a click is an edit, not a reason to fade all the rest
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 1}},
    )
    if chosen is not None:
        figure.add_scatter(
            x=[depths[chosen + 1]],
            y=[rows[chosen + 1]],
            mode="markers",
            marker={"size": 30, "symbol": "circle-open", "color": MEASURED, "line": {"width": 3}},
            hoverinfo="skip",
            showlegend=False,
        )
    figure.update_xaxes(dtick=1, showgrid=False, range=[-0.4, max(depths) + 0.5])
    figure.update_yaxes(visible=False, range=[leaves - 0.4, -0.9])
    return figure


def _add_branches(
    figure: go.Figure,
    parents: Parents,
    probabilities: Sequence[float],
    depths: Sequence[int],
    rows: Sequence[float],
) -> None:
    """Lines from parents to children, the likelier the wider; one trace for each width."""
    widths = [1 + round(5 * chance) for chance in probabilities]
    for width in sorted(set(widths)):
        x: list[float | None] = []
        y: list[float | None] = []
        for node, parent in enumerate(parents):
            if widths[node] == width:
                start, end = parent + 1, node + 1
                x += [depths[start], (depths[start] + depths[end]) / 2, depths[end], None]
                y += [rows[start], rows[end], rows[end], None]
        figure.add_scatter(
            x=x, y=y, mode="lines", line={"color": NEUTRAL, "width": width}, hoverinfo="skip",
            showlegend=False,
        )  # fmt: skip


def _rows(parents: Parents) -> list[float]:
    """Height of the pending token and of every node: an only or first child continues the line."""
    children: dict[int, list[int]] = {}
    for node, parent in enumerate(parents):
        children.setdefault(parent, []).append(node)
    rows = [0.0] * (len(parents) + 1)
    free, waiting = 0, [(-1, False)]
    while waiting:
        node, opens = waiting.pop()
        free += opens
        rows[node + 1] = float(free)
        below = children.get(node, [])
        waiting += [(child, place > 0) for place, child in reversed(list(enumerate(below)))]
    return rows
