"""What did a serving engine do, and was it foretold? Parts of the Data and Validation pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from app import figures, words
from app.glossary import explain
from app.served_errors import ServedErrors, served_errors
from app.state import Choice, Desk
from app.views import frame
from measurements import MeasuredPredicted, ServedSetting, ServerRecord

_K = "Draft tokens per round, γ elsewhere: what the server was started with. 0 decodes without."
_SHORT = ["K", "batch", "S measured", "S predicted", "error of S", "error of τ"]
_FIRST_POSITIONS = 4
EXACT = 1e-9
"""Relative errors below this are rounding."""


def title(record: ServerRecord) -> str:
    """What served, with its version."""
    return f"{record.engine} {record.engine_version or ''}".strip()


def facts(record: ServerRecord) -> list[tuple[str, str]]:
    """What is known of a sweep, as label and value pairs."""
    if record.speculation == "ngram":
        drafts = f"looked up: suffixes of {record.min_ngram} to {record.max_ngram} tokens"
    else:
        drafts = f"{record.draft}, as stated"
    prompts = record.prompts
    return [
        ("Server", f"{title(record)}, seen from outside"),
        ("Target", record.model),
        ("Drafts", drafts),
        ("Text", f"{prompts.num_prompts} prompts of {prompts.name}, mean"
                 f" {prompts.mean_prompt_tokens:.0f} tokens, {record.new_tokens} new tokens each"),
    ]  # fmt: skip


def show_sweep(record: ServerRecord, found: dict[str, Any]) -> None:
    """Tables of a sweep: servers, times of their rounds, and what was foretold."""
    st.caption("Servers: medians over waves; S is over the plain server's time per token, paired.")
    _servers(found["servers"])
    if found["fit"] is not None:
        st.caption(
            "Time of a round [ms] by the sequences in it: a line in its drafts, beside a plain step"
        )
        _fit(found["fit"])
    if record.settings:
        st.caption(f"Foretold from {record.profile_id}, and measured")
        _foretold(record.settings)


def show_foretold(desk: Desk, records: Sequence[ServerRecord]) -> None:
    """The foretold settings of a sweep over servers: in words, drawn, as a table."""
    by_id = {one.id: one for one in records if served_errors(one.settings) is not None}
    if not by_id:
        return
    heading, record = st.container(), next(iter(by_id.values()))
    if len(by_id) > 1:
        control = Choice("sweep", record.id, tuple(by_id))
        st.selectbox("Sweep over servers", list(by_id), key=desk.place(control))
        record = by_id[str(desk.refresh(control))]
    heading.subheader(f"Another engine: {title(record)}", anchor=False)
    errors = served_errors(record.settings)
    assert errors is not None
    st.markdown(_sentence(record, errors))
    left, right = st.columns(2, gap="large")
    with left:
        figure = figures.served_against_foretold(record.settings, title(record))
        frame.chart(figure, "served", f"Predicted over measured speedup of {title(record)}")
    with right:
        _foretold(record.settings, _SHORT)
        st.caption(
            "K is draft tokens per round, S the speedup over the server without drafts, all"
            " units together, τ tokens per round. Foretold from servers with other K"
            f" ({words.plain(str(record.profile_id))}) and a trace of this engine; open marks lie"
            " beyond those. Not counted in the figures above, which are this engine's."
        )


def _sentence(record: ServerRecord, errors: ServedErrors) -> str:
    inside = ""
    if 0 < errors.profiled < errors.settings:
        inside = (
            f"; of the {errors.profiled} between the numbers of drafts that were profiled,"
            f" {words.percent(errors.profiled_worst)} at worst"
        )
    tau = (
        f"to {words.percent(errors.tau_worst)} at worst" if errors.tau_worst > EXACT else "exactly"
    )
    return (
        f"The speedup of {words.plain(title(record))} was foretold to"
        f" **{words.percent(errors.speedup_median)}** (median of {errors.settings} settings;"
        f" {words.percent(errors.speedup_worst)} at worst{inside}), its tokens per round {tau}."
    )


def _servers(rows: Sequence[dict[str, Any]]) -> None:
    number = st.column_config.NumberColumn
    table = [
        {
            "K": row["num_draft_tokens"],
            "batch": row["batch"],
            "tokens/s": row["tokens_per_s"],
            "ms per token": 1e3 * row["seconds_per_token"],
            "first token [ms]": 1e3 * row["seconds_to_first_token"],
            "τ": row["tau"],
            "S": None if row["speedup"] is None else row["speedup"]["median"],
            "S, 90 %": None
            if row["speedup"] is None
            else words.span(row["speedup"]["low"], row["speedup"]["high"]),
            "kept, by position": _kept(row["survival"]),
        }
        for row in rows
    ]
    st.dataframe(
        pd.DataFrame(table),
        hide_index=True,
        column_config={
            "K": number(help=_K, pinned=True),
            "batch": number(help=explain("batch"), pinned=True),
            "tokens/s": number(format="%.0f", help="Of the whole batch, the prompts included."),
            "ms per token": number(format="%.2f", help="Of the batch, without the first one."),
            "first token [ms]": number(format="%.0f", help="From sending to the first piece."),
            "τ": number(format="%.2f", help=explain("mean_emitted")),
            "S": number(format="%.2f×", help="Over the plain server, which took turns with it."),
            "S, 90 %": st.column_config.TextColumn(help="Over resampled units of prompts."),
            "kept, by position": st.column_config.TextColumn(
                help="Share of rounds in which the first, second … draft was kept."
            ),
        },
        alt="Table of servers: speed, waiting time, tokens per round and speedup",
    )


def _kept(survival: Sequence[float]) -> str:
    shown = "  ".join(words.percent(share, 0) for share in survival[:_FIRST_POSITIONS])
    return f"{shown} …" if len(survival) > _FIRST_POSITIONS else shown or "–"


def _fit(rows: Sequence[dict[str, Any]]) -> None:
    names = {
        "fixed_seconds": "round without drafts",
        "draft_token_seconds": "each draft",
        "plain_step_seconds": "plain step",
        "speculating_seconds": "speculating costs",
    }
    table = [
        {"sequences": row["sequences"]}
        | {name: None if row[key] is None else 1e3 * row[key] for key, name in names.items()}
        for row in rows
    ]
    number = st.column_config.NumberColumn(format="%.2f")
    st.dataframe(
        pd.DataFrame(table), hide_index=True,
        column_config={name: number for name in names.values()},
        alt="Table of the time of a round by the sequences in it, in milliseconds",
    )  # fmt: skip


def _foretold(settings: Sequence[ServedSetting], columns: list[str] | None = None) -> None:
    """A row per setting; only these columns where they are named."""
    number = st.column_config.NumberColumn
    speed, share = number(format="%.2f×"), number(format="%+.1f %%")
    st.dataframe(
        pd.DataFrame([_line(one) for one in settings], columns=columns),
        hide_index=True,
        height="content",
        column_config={
            "K": number(help=_K, pinned=True),
            "batch": number(pinned=True),
            "S measured": speed,
            "S predicted": speed,
            "error of S": share,
            "τ measured": number(format="%.2f"),
            "τ predicted": number(format="%.2f"),
            "error of τ": share,
            "texts": st.column_config.TextColumn(help="Answers equal to the trace, of all."),
            "profiled": st.column_config.CheckboxColumn(
                help="Whether K lies between the numbers of drafts that were profiled."
            ),
        },
        alt="Table of foretold settings of servers: speedup and tokens per round with errors",
    )


def _line(one: ServedSetting) -> dict[str, object]:
    speedup = one.speedup
    return {
        "K": one.num_draft_tokens,
        "batch": one.batch,
        "S measured": None if speedup is None else speedup.measured,
        "S predicted": None if speedup is None else speedup.predicted,
        "error of S": None if speedup is None else _percent(speedup),
        "τ measured": one.tau.measured,
        "τ predicted": one.tau.predicted,
        "error of τ": _percent(one.tau),
        "texts": f"{one.texts_as_traced}/{one.units * one.batch}",
        "profiled": not one.extrapolated,
    }


def _percent(one: MeasuredPredicted) -> float:
    return round(100 * one.error, 1) + 0.0  # never -0.0
