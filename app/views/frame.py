"""What do all pages share? The selected record, charts, cards and empty states."""

from __future__ import annotations

from collections.abc import Sequence

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
    st.markdown(f"##### {answer}")


def chart(figure: go.Figure, key: str, description: str) -> None:
    """A chart with a text alternative; its own button saves it as an image."""
    st.plotly_chart(figure, key=key, config=_config(key), alt=description)


def clickable(figure: go.Figure, key: str, description: str, control: str = "setting") -> None:
    """As ``chart``; a click on a mark sets a control to the first entry of its customdata."""

    def clicked() -> None:
        points = st.session_state[f"clicks_{key}"].selection.points
        if points and points[0].get("customdata"):
            st.session_state[f"control_{control}"] = points[0]["customdata"][0]

    st.plotly_chart(
        figure, key=f"clicks_{key}", config=_config(key), alt=description,
        on_select=clicked, selection_mode="points",
    )  # fmt: skip


def _config(key: str) -> dict[str, object]:
    image = {**CHART_CONFIG["toImageButtonOptions"], "filename": f"speculens-{key}"}
    return {**CHART_CONFIG, "toImageButtonOptions": image}


def card(label: str, value: str, note: str, help_text: str | None = None) -> None:
    """One number with what belongs to it."""
    st.metric(
        label,
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
