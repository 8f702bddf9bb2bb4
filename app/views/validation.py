"""How far can the predictions be trusted, and what is to blame for their errors?"""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app import figures, words
from app.campaign import Verdict, coverage, verdict
from app.data import Evidence
from app.glossary import explain
from app.judged import Judged, campaign_of, judged
from app.state import Choice, Desk, Several, Switch
from app.views import frame, servers
from app.views.one_setting import choose_setting, show_setting, take_setting
from measurements import ServerRecord, SettingRow, ValidationRecord

QUESTION = "How far can the predictions be trusted?"
TOGETHER = Switch("together")
FEW_GROUPS = 2  # drawn at once; of more, one is chosen


def show() -> None:
    """Errors in words, scatter and the setting clicked in it, errors by method, causes, table."""
    entry = frame.selected()
    record = entry.validation if entry else None
    if record is None:
        st.title(QUESTION, anchor=False)
        frame.no_record("that compares predictions with real decoding")
        servers.show_foretold(Desk.current(), _served(entry))
        return
    st.title(QUESTION, anchor=False)
    answer = st.container()
    desk = Desk.current()
    records = _records(desk, record)
    settings = judged(records)
    shown = _filtered(desk, settings)
    found = verdict(records)
    with answer:
        frame.say(_sentence(records, found))
        _cards(records, found)
    if not shown:
        st.info("No setting is left by these filters.", icon=":material/filter_alt_off:")
        return
    left, right = st.columns(2, gap="large")
    with right:
        chosen = choose_setting(desk, shown)
    with left:
        st.subheader("Predicted against measured", anchor=False)
        st.caption(
            "On the dotted line a prediction is exact. Bars are 90\u00a0% intervals. Click a point"
            " to look into its setting."
        )
        figure = figures.predicted_against_measured(shown, 520, chosen.key)
        frame.clickable(figure, "scatter", "Predicted over measured speedup", take_setting)
    with right:
        show_setting(chosen)
    left, right = st.columns(2, gap="large")
    with left:
        _methods(shown)
    with right:
        _intervals(shown)
    _worst(records, shown, found)
    _causes_and_time(desk, shown)
    st.subheader("All settings", anchor=False)
    st.caption(_conditions(record))
    _table(shown)
    servers.show_foretold(desk, _served(entry))


def _served(entry: Evidence | None) -> list[ServerRecord]:
    """Sweeps over servers of the chosen record's target; without one, all of them."""
    records = [record for _, record in frame.shelf().servers]
    if entry is None:
        return records
    return [one for one in records if one.model == entry.record.target.name]


def _records(desk: Desk, record: ValidationRecord) -> list[ValidationRecord]:
    """The record alone or, if the reader wants, with the others of its campaign."""
    campaign = campaign_of(record, frame.shelf().validations)
    if len(campaign) == 1:
        return campaign
    st.toggle(
        f"All {len(campaign)} records of this campaign together", key=desk.place(TOGETHER),
        help="The newest of every prompt set and sampling, of this pair on this machine, decoded"
        " on prompts that were not profiled.",
    )  # fmt: skip
    return campaign if desk.refresh(TOGETHER) else campaign[:1]


def _filtered(desk: Desk, settings: list[Judged]) -> list[Judged]:
    """What is left by the filters; with nothing to choose from there is no filter."""
    known = sorted((one.row.sampling for one in settings), key=lambda one: one.temperature)
    samplings = {sampling.label: words.sampling_name(sampling) for sampling in known}
    methods = {one.row.method: one.row.method for one in settings}
    kept = settings
    filters = [
        (name, label, options)
        for name, label, options in (
            ("kinds", "Methods", methods),
            ("samplings", "Samplings", samplings),
        )
        if len(options) > 1
    ]
    for column, (name, label, options) in zip(st.columns(2, gap="large"), filters, strict=False):
        control = Several(name, tuple(options))
        with column:
            st.pills(
                label, control.options, key=desk.place(control), selection_mode="multi",
                format_func=options.get,
            )  # fmt: skip
        wanted = desk.refresh(control)
        kept = [
            one
            for one in kept
            if (one.row.method if name == "kinds" else one.row.sampling.label) in wanted
        ]
    return kept


def _sentence(records: list[ValidationRecord], found: Verdict) -> str:
    return words.trust_verdict(records[0]) if len(records) == 1 else found.lines()[0]


def _conditions(record: ValidationRecord) -> str:
    same = (
        "on the same prompts that were profiled"
        if record.same_prompts_as_profile
        else "on prompts that were not profiled"
    )
    between = record.summary_profiled is not None
    stages = "stages timed between the decodes" if between else "its stage times"
    return (
        f"Decoded {same}, {record.repeats} interleaved repeats. Predicted from the acceptance of"
        f" the profile and {stages}. τ is tokens per round, S the speedup."
    )


def _cards(records: list[ValidationRecord], found: Verdict) -> None:
    number = found.settings
    cards = [
        ("Median error", words.percent(found.median), f"of {number} settings",
         explain("speedup", "L2")),
        ("95th percentile", words.percent(found.p95), f"{words.percent(found.worst)} at worst"),
        ("Bias", words.percent(found.bias), "mean signed error"),
        ("In the 90\u00a0% interval", words.percent(found.coverage, 0),
         f"{round(found.coverage * number)} of {number} settings"),
        ("Time explained", words.percent(min(one.summary.time_explained for one in records)),
         "smallest of all settings"),
    ]  # fmt: skip
    frame.cards(cards)


def _methods(shown: list[Judged]) -> None:
    st.subheader("Errors by method and fidelity", anchor=False)
    st.caption("The band is ±5\u00a0%. A click on a point works here, too.")
    figure = figures.errors_by_method(shown)
    frame.clickable(figure, "errors", "Errors by method and fidelity", take_setting)


def _intervals(shown: list[Judged]) -> None:
    st.subheader("Do the intervals keep their word?", anchor=False)
    parts = [
        f"{words.percent(coverage(rows), 0)} at {words.sampling_name(rows[0].sampling)}"
        for rows in words.by_sampling(one.row for one in shown).values()
    ]
    st.caption(
        f"Nine of ten measured values belong inside; here {words.listing(parts)}. A record keeps"
        " one interval per setting, so narrower ones cannot be judged."
    )
    figure = figures.places_in_intervals(shown)
    frame.clickable(figure, "places", "Measured values in intervals", take_setting)


def _worst(records: list[ValidationRecord], shown: list[Judged], found: Verdict) -> None:
    st.subheader("The worst cases, explained", anchor=False)
    mine = {(one.record.prompts.name, one.row.sampling.label, one.row.method,
             repr(one.row.parameters)) for one in shown}  # fmt: skip
    names = {one.row.sampling.label: words.sampling_name(one.row.sampling) for one in shown}
    rows = [
        {
            "setting": words.method_name(case.method, case.parameters),
            "sampling": names[case.sampling],
            "prompts": case.prompts,
            "error": 100 * case.error,
            "to blame": case.term,
            "its part": 100 * case.share,
            "figures": case.explanation,
        }
        for case in found.wrong
        if (case.prompts, case.sampling, case.method, repr(case.parameters)) in mine
    ]
    if not rows:
        st.caption("No setting shown is off by more than 5\u00a0%.")
        return
    st.caption(
        f"{len(rows)} of {len(shown)} settings are off by more than 5\u00a0%. The error splits"
        " exactly (M9); the term named has the largest part of it."
    )
    number = st.column_config.NumberColumn(format="%+.1f %%")
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_config={
            "setting": st.column_config.TextColumn(pinned=True),
            "error": number,
            "its part": number,
        },
        alt="Table of the settings that were foretold worst, with the term to blame",
    )


def _groups(shown: list[Judged]) -> dict[str, list[Judged]]:
    """Settings that belong into one chart: of one sampling and, of several records, one text."""
    several = len({one.record.id for one in shown}) > 1
    groups: dict[str, list[Judged]] = {}
    ranked = sorted(shown, key=lambda one: (one.row.temperature, one.row.method,
                                            words.drafts(one.row)))  # fmt: skip
    for one in ranked:
        text = f", {one.record.prompts.name}" if several else ""
        groups.setdefault(words.sampling_name(one.row.sampling) + text, []).append(one)
    return groups


def _causes_and_time(desk: Desk, shown: list[Judged]) -> None:
    groups = _groups(shown)
    st.subheader("What the errors consist of, and where the time goes", anchor=False)
    st.caption(
        "The error of the speedup, split exactly: a positive part made the prediction too high, the"
        " diamond is the sum of all parts. Beside it the measured share of wall time by stage; what"
        " no stage explains is hatched."
    )
    if len(groups) > FEW_GROUPS:
        control = Choice("part", next(iter(groups)), tuple(groups))
        st.selectbox("Sampling and text", list(groups), key=desk.place(control))
        name = str(desk.refresh(control))
        groups = {name: groups[name]}
    for name, group in groups.items():
        st.markdown(f"**{words.plain(name)}**")
        rows = [one.row for one in group]
        left, right = st.columns(2, gap="large")
        with left:
            frame.chart(figures.decomposition(rows), f"causes_{name}", f"Causes at {name}")
        with right:
            frame.chart(figures.time_shares(rows), f"shares_{name}", f"Time shares at {name}")


def _table(shown: list[Judged]) -> None:
    rows = [_line(one.row) for group in _groups(shown).values() for one in group]
    number = st.column_config.NumberColumn
    formats = {name: "%.2f×" for name in rows[0] if name.startswith("S ")}
    formats |= {name: "%.2f" for name in rows[0] if name.startswith("τ ")}
    formats |= {"error": "%+.1f %%", "rounds": "%.0f", "rounds L2": "%.1f"}
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        height="content" if len(rows) <= 20 else 740,
        column_config={name: number(format=text) for name, text in formats.items()}
        | {
            "sampling": st.column_config.TextColumn(pinned=True),
            "setting": st.column_config.TextColumn(pinned=True),
        },
        alt="Table of all settings: speedup and tokens per round, measured and predicted",
    )


def _line(row: SettingRow) -> dict[str, object]:
    return {
        "sampling": words.sampling_name(row.sampling),
        "setting": words.method_name(row.method, row.parameters),
        "S measured": row.speedup.measured,
        "S L2": row.speedup.L2,
        "error": round(100 * (row.speedup.L2 / row.speedup.measured - 1), 1) + 0.0,  # no -0.0
        "90 % of S L2": words.span(row.speedup.L2_low, row.speedup.L2_high),
        "S L1": row.speedup.L1,
        "S L0": row.speedup.L0,
        "τ measured": row.tau.measured,
        "τ L2": row.tau.L2,
        "τ L1": row.tau.L1,
        "τ L0": row.tau.L0,
        "rounds": row.rounds.measured,
        "rounds L2": row.rounds.L2,
    }


if __name__ == "__main__":
    show()
