"""What came out, for somebody who read nothing else? One HTML file that works offline."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from app import figures, words
from app.judged import judged
from app.style import CHART_CONFIG
from measurements import ProfileRecord, SettingRow, ValidationRecord

PAGE = Path(__file__).parent / "assets" / "report.html"


def render(validation: ValidationRecord, profile: ProfileRecord | None = None) -> str:
    """A self-contained report of predicted beside measured speedups.

    Parameters
    ----------
    validation : ValidationRecord
        What was predicted and then decoded for real.
    profile : ProfileRecord, optional
        The profile it was predicted from; adds the machine's ceilings.

    Returns
    -------
    str
        An HTML document without references to other files (about 5 MB: it
        carries the plotting library).

    Raises
    ------
    ValueError
        If the record holds no setting.
    """
    if not validation.settings:
        raise ValueError(f"record {validation.id} holds no setting: nothing to report")
    groups = words.by_sampling(validation.settings)
    body = [
        "<h1>Does speculative decoding pay here?</h1>",
        f'<p class="lead">{_rich(words.measured_verdict(validation))}</p>',
        f"<p>{_rich(words.foretold(validation))} {_rich(words.trust_verdict(validation))}</p>",
        _cards(validation),
        section(
            "Speedup by number of draft tokens",
            "Lines are predictions at three fidelities, from the profile's acceptance and stages"
            " timed between the decodes; points were decoded for real, with 90 % intervals."
            " Above 1× speculation gains.",
            {
                _name(rows): figures.speedup_by_draft_tokens(
                    figures.points_from_settings(rows), rows
                )
                for rows in groups.values()
            },
        ),
        _time(validation, groups),
        section(
            "Predicted against measured",
            "On the dotted line a prediction is exact (left). Right: the gain of every prompt at"
            " the best setting, sorted, with its own prediction.",
            {
                "All settings": figures.predicted_against_measured(judged([validation]), 380),
                _best_name(validation): figures.per_prompt_speedup(
                    words.best_measured(validation.settings), 380
                ),
            },
        ),
        section(
            "What the errors consist of",
            "The error of the predicted speedup, split exactly. A part above zero made the"
            " prediction too high; the diamond is the sum. “Plain step” is a token decoded"
            " without drafts, “host work” is sampling, verification and cache commit.",
            {_name(rows): figures.decomposition(rows) for rows in groups.values()},
        ),
        _table(groups),
        _conditions(validation, profile),
        _reading(),
    ]
    title = f"speculens: {validation.target.name} with draft {validation.draft.name}"
    subtitle = (
        f"{validation.target.name} with draft {validation.draft.name} ·"
        f" {validation.machine.accelerator or validation.machine.cpu} ·"
        f" {validation.dtype} · {words.moment(validation.created)}"
    )
    return Template(PAGE.read_text(encoding="utf-8")).substitute(
        title=escape(title), subtitle=escape(subtitle), plotly=get_plotlyjs(), body="\n".join(body)
    )


def _cards(record: ValidationRecord) -> str:
    cards = []
    for rows in words.by_sampling(record.settings).values():
        best = words.best_measured(rows)
        s = best.speedup
        cards.append(
            (
                f"{words.setting_name(best)}",
                words.times(s.measured),
                f"90 %: {words.span(s.measured_low, s.measured_high)},"
                f" predicted {words.times(s.L2)}",
            )
        )
    summary, number = record.summary, len(record.settings)
    cards += [
        ("Prediction error", words.percent(summary.median_abs_error),
         f"median of {number}, {words.percent(summary.max_abs_error)} at worst"),
        ("In the 90 % interval", words.percent(summary.coverage_90, 0),
         f"{round(summary.coverage_90 * number)} of {number} settings"),
        ("Time explained", words.percent(summary.time_explained), "of wall time, at least"),
    ]  # fmt: skip
    inner = "".join(
        f'<div class="card"><div class="label">{escape(label)}</div>'
        f'<div class="value">{escape(value)}</div><div class="small">{escape(note)}</div></div>'
        for label, value, note in cards
    )
    return f'<div class="cards">{inner}</div>'


def _time(record: ValidationRecord, groups: dict[str, list[SettingRow]]) -> str:
    baselines = {row.sampling.label: row for row in record.autoregressive}
    charts = {
        _name(rows): figures.time_per_token(rows, baselines[label])
        for label, rows in groups.items()
        if label in baselines
    }
    note = (
        "Measured time for one emitted token: the first bar is decoding without drafts. The"
        " hatched top is wall time that no timed stage explains."
    )
    return section("Where the time goes", note, charts)


def section(heading: str, note: str, charts: dict[str, go.Figure]) -> str:
    """A heading, what there is to see, and figures by title; nothing where there are none."""
    if not charts:
        return ""
    drawn = "".join(
        f"<div><h3>{escape(name)}</h3>{chart(figure)}</div>" for name, figure in charts.items()
    )
    return (
        f'<h2>{escape(heading)}</h2><p class="note">{escape(note)}</p>'
        f'<div class="pair{" two" if len(charts) > 1 else ""}">{drawn}</div>'
    )


def chart(figure: go.Figure) -> str:
    """A figure as part of a page that carries the plotting library."""
    figure.update_layout(template="plotly_white", font={"color": "#1b2430"})
    html = figure.to_html(
        full_html=False, include_plotlyjs=False, config=CHART_CONFIG, default_width="100%"
    )
    return f'<div class="chart">{html}</div>'


def _table(groups: dict[str, list[SettingRow]]) -> str:
    heads = [
        "sampling", "γ", "measured", "90 %", "L2", "90 %", "error", "L1", "L0",
        "τ measured", "τ L2", "τ L1", "τ L0", "rounds", "rounds L2",
    ]  # fmt: skip
    lines = []
    for row in (row for rows in groups.values() for row in rows):
        s, tau = row.speedup, row.tau
        cells: Sequence[str] = [
            words.sampling_name(row.sampling), words.short_name(row), words.times(s.measured),
            words.span(s.measured_low, s.measured_high), words.times(s.L2),
            words.span(s.L2_low, s.L2_high), words.percent(s.L2 / s.measured - 1),
            words.times(s.L1), words.times(s.L0), f"{tau.measured:.2f}", f"{tau.L2:.2f}",
            f"{tau.L1:.2f}", f"{tau.L0:.2f}", f"{row.rounds.measured:.0f}", f"{row.rounds.L2:.1f}",
        ]  # fmt: skip
        lines.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    return (
        '<h2>All settings</h2><p class="note">Speedups [×] over the same engine’s decoding without'
        " drafts, and tokens per round τ.</p>"
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _conditions(record: ValidationRecord, profile: ProfileRecord | None) -> str:
    same = "the same that were profiled" if record.same_prompts_as_profile else "not profiled"
    facts = [
        ("Target", words.model_facts(record.target)),
        ("Draft", words.model_facts(record.draft)),
        ("Text", f"{record.prompts.num_prompts} prompts of {record.prompts.name} ({same}), mean"
                 f" {record.prompts.mean_prompt_tokens:.0f} tokens, {record.new_tokens} new tokens"
                 f" each, {record.repeats} interleaved repeats"),
        *words.machine_facts(record.machine, record.dtype),
    ]  # fmt: skip
    if profile is not None:
        bandwidth = profile.ceilings.median_read_bandwidth_bytes_per_s / 1e9
        rate = profile.ceilings.median_flop_per_s / 1e9
        facts.append(("Ceilings", f"{bandwidth:.3g} GB/s read, {rate:.3g} GFLOP/s, measured"))
    facts.append(("Records", f"{record.id}, predicted from {record.profile_id}"))
    if record.commit:
        facts.append(("Commit", record.commit))
    items = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in facts)
    return f"<h2>Machine and conditions</h2><dl>{items}</dl>"


def _reading() -> str:
    items = [
        ("γ", "tokens that the draft proposes in a round"),
        ("τ", "tokens that a round adds to the text: accepted drafts and one more"),
        ("L0", "textbook formula: constant acceptance, one cost ratio"),
        ("L1", "acceptance by draft position and prompt, measured stage times"),
        ("L2", "replay of the recorded text token by token, measured stage times"),
        ("90 %", "bootstrap interval over prompts and timing samples"),
    ]
    inner = "".join(f"<dt>{escape(key)}</dt><dd>{escape(text)}</dd>" for key, text in items)
    return f"<h2>How to read it</h2><dl>{inner}</dl>"


def _name(rows: Sequence[SettingRow]) -> str:
    return words.sampling_name(rows[0].sampling)


def _best_name(record: ValidationRecord) -> str:
    best = words.best_measured(record.settings)
    return f"Prompt by prompt, {words.setting_name(best)}"


def _rich(text: str) -> str:
    return re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", escape(text))
