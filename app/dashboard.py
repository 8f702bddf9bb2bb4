"""The dashboard's entry: which page, which record, and the link to this view.

Run with ``speculens app`` or ``streamlit run app/dashboard.py``.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from app import data
from app.state import Choice, Desk

HERE = Path(__file__).parent
ICON = str(HERE / "assets" / "icon.svg")


def main() -> None:
    """Lay out the frame and run the chosen page."""
    st.set_page_config(page_title="speculens", page_icon=ICON, layout="wide")
    st.logo(str(HERE / "assets" / "logo.svg"), icon_image=ICON, size="large")
    st.html(HERE / "assets" / "dashboard.css")
    page = st.navigation(
        [
            st.Page("views/overview.py", title="Overview", icon=":material/speed:", default=True),
            _page("whatif", "What if", "tune"),
            _page("compare", "Compare methods", "leaderboard"),
            _page("optimize", "Optimise", "trophy"),
            _page("tree", "Tree designer", "account_tree"),
            _page("roofline", "Roofline", "roofing"),
            _page("staging", "Staging", "stacks"),
            _page("watch", "Watch it decode", "play_circle"),
            _page("validation", "Validation", "fact_check"),
            _page("data", "Data", "database"),
        ]
    )
    opened_with_state = bool(st.query_params)  # before the desk repairs the address
    desk = Desk.open(page.url_path)
    shelf = data.load_shelf()
    st.session_state["_shelf"] = shelf
    with st.sidebar:
        st.session_state["_entry"] = _choose(desk, shelf.evidence)
        if shelf.problems:
            with st.expander(f"{len(shelf.problems)} unusable files", icon=":material/report:"):
                for name, reason in shelf.problems:
                    st.caption(f"{name}: {reason}")
    _tour(opened_with_state)
    page.run()
    desk.close()


def _page(name: str, title: str, icon: str) -> StreamlitPage:
    return st.Page(f"views/{name}.py", title=title, icon=f":material/{icon}:", url_path=name)


TOUR = (
    "<b>Overview</b> says whether speculative decoding pays for the pair chosen on the left, with"
    " an interval, and <b>Validation</b> how far to trust that.",
    "<b>What if</b>, <b>Tree designer</b>, <b>Staging</b> and <b>Roofline</b> answer with other"
    " numbers: move a slider, and every sentence and chart follows.",
    "Hover over a question mark or a mark in a chart to learn what a number means and how it came"
    " about; <b>Watch it decode</b> shows the real thing.",
)


def _tour(opened_with_state: bool) -> None:
    """Three sentences for who comes by the front door, until they are put away."""
    st.session_state.setdefault("_tour", not opened_with_state)
    if not st.session_state["_tour"]:
        return
    with st.container(border=True, key="tour"):
        st.html(f'<ol class="tour">{"".join(f"<li>{one}</li>" for one in TOUR)}</ol>')
        st.button("Got it", key="tour_done", on_click=_end_tour, icon=":material/check:")


def _end_tour() -> None:
    st.session_state["_tour"] = False


def _choose(desk: Desk, entries: list[data.Evidence]) -> data.Evidence | None:
    if not entries:
        st.caption("No records yet. Make one with `speculens profile`.")
        return None
    by_id = {entry.id: entry for entry in entries}
    control = Choice("record", entries[0].id, tuple(by_id))
    key = desk.place(control)
    st.selectbox(
        "Record",
        list(by_id),
        key=key,
        format_func=lambda identity: by_id[identity].title,
        help="A profile of a model pair on a machine, with its validation where there is one.",
    )
    entry = by_id[str(desk.refresh(control))]
    record = entry.record
    machine = record.machine.accelerator or record.machine.cpu
    st.caption(
        f"{record.target.name} with draft {record.draft.name}, {record.dtype}, measured on"
        f" {machine}. {'Validated.' if entry.validation else 'Not validated yet.'}"
    )
    st.caption("The address in your browser is a link to exactly this view.")
    return entry


main()
