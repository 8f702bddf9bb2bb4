"""What do all pages share? The selected record, charts, cards and empty states."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from zlib import crc32

import plotly.graph_objects as go
import streamlit as st

from app.data import Evidence, Shelf
from app.style import CHART_CONFIG
from app.words import plain


def selected() -> Evidence | None:
    """The record chosen in the sidebar, or None when there is none."""
    return st.session_state.get("_entry")


def shelf() -> Shelf:
    """Every record of the data folder."""
    return st.session_state["_shelf"]


def headline(question: str, answer: str) -> None:
    """A page's question and its answer in words."""
    st.title(question, anchor=False)
    say(answer)


def say(answer: str) -> None:
    """An answer in words; γ and its number stay on one line."""
    st.markdown(f"##### {_kept_together(answer)}")


def chart(figure: go.Figure, key: str, description: str) -> None:
    """A chart with a text alternative; its own button saves it as an image."""
    st.plotly_chart(figure, key=key, config=_config(key), alt=description)


def clickable(
    figure: go.Figure,
    key: str,
    description: str,
    clicked: Callable[[str], None],
    version: str = "",
) -> None:
    """As ``chart``; a click hands the first entry of a mark's customdata to ``clicked``.

    Figures with another ``version`` do not remember what was clicked in this one.
    """
    place = f"clicks_{key}_{crc32(version.encode())}"

    def told() -> None:
        points = st.session_state[place].selection.points
        if points and points[0].get("customdata"):
            clicked(str(points[0]["customdata"][0]))

    st.plotly_chart(
        figure, key=place, config=_config(key), alt=description,
        on_select=told, selection_mode="points",
    )  # fmt: skip


def _config(key: str) -> dict[str, object]:
    image = {**CHART_CONFIG["toImageButtonOptions"], "filename": f"speculens-{key}"}
    return {**CHART_CONFIG, "toImageButtonOptions": image}


def card(label: str, value: str, note: str, help_text: str | None = None) -> None:
    """One number with what belongs to it."""
    st.metric(
        _kept_together(label),
        value,
        delta=note,
        delta_color="off",
        delta_arrow="off",
        help=help_text,
        border=True,
        height="stretch",
    )


def cards(rows: Sequence[tuple[str, ...]]) -> None:
    """Numbers in a row: label, value, note and, where there is more to say, a help text."""
    for column, row in zip(st.columns(len(rows)), rows, strict=True):
        with column:
            card(*row)


def _kept_together(text: str) -> str:
    return re.sub(r"γ (?=\d)", "γ\u00a0", text)


def fact(label: str, value: str) -> None:
    """A label over a value from a record."""
    st.markdown(f":gray[{label}]  \n{plain(value)}")


def no_record(what: str) -> None:
    """One line that says what is missing and how to make it."""
    st.info(
        f"No record {what} here yet. Make one with `speculens profile`, then"
        " `speculens validate`. The What-if page works without any.",
        icon=":material/info:",
    )
