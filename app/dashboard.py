"""The dashboard's entry: which page, which record, and the link to this view.

Run with ``speculens app`` or ``streamlit run app/dashboard.py``.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

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
            st.Page("views/whatif.py", title="What if", icon=":material/tune:", url_path="whatif"),
            st.Page(
                "views/validation.py",
                title="Validation",
                icon=":material/fact_check:",
                url_path="validation",
            ),
        ]
    )
    desk = Desk.open(page.url_path)
    entries, problems = data.load_evidence()
    with st.sidebar:
        st.session_state["_entry"] = _choose(desk, entries)
        if problems:
            with st.expander(f"{len(problems)} unusable files", icon=":material/report:"):
                for line in problems:
                    st.caption(line)
    page.run()
    desk.close()


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
