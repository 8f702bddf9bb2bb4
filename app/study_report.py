"""What did a reproduced experiment give? One HTML file that works offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from string import Template

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from app import words
from app.report import PAGE, chart
from app.study_tables import PAPER, Row, fitted, tables
from measurements import StudyRecord

LONG = 24
"""Rows from which on a table is folded away."""
WIDE = 150
"""Characters of a row from which on rows and columns are exchanged."""


def render(study: StudyRecord, figures: Mapping[str, go.Figure]) -> str:
    """A self-contained report: question, findings, tables beside published ones, figures.

    Parameters
    ----------
    study : StudyRecord
    figures : mapping of str to go.Figure
        By title.

    Returns
    -------
    str
        An HTML document without references to other files (about 5 MB: it
        carries the plotting library).
    """
    body = [
        f"<h1>{escape(study.question)}</h1>",
        _notes(study.notes),
        _figures(figures),
        _tables(study),
        _conditions(study),
    ]
    subtitle = (
        f"reproduce {study.name} · {study.target.name} with draft {study.draft.name} ·"
        f" {study.machine.accelerator or study.machine.cpu} · {study.dtype} ·"
        f" {words.moment(study.created)}"
    )
    return Template(PAGE.read_text(encoding="utf-8")).substitute(
        title=escape(f"speculens: {study.name}"),
        subtitle=escape(subtitle),
        plotly=get_plotlyjs(),
        body="\n".join(body),
    )


def _notes(notes: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f"<h2>What came out</h2><ul>{items}</ul>" if notes else ""


def _figures(figures: Mapping[str, go.Figure]) -> str:
    drawn = "".join(
        f"<div><h3>{escape(title)}</h3>{chart(figure)}</div>" for title, figure in figures.items()
    )
    return f'<h2>Figures</h2><div class="pair">{drawn}</div>' if figures else ""


def _tables(study: StudyRecord) -> str:
    measured: dict[str, Sequence[Row]] = dict(study.tables)
    parts = ['<h2>Tables</h2><div class="tables">']
    for title, shown in tables(measured, study.published).items():
        headings, rows = fitted(shown, WIDE)
        made = _table(headings, rows)
        if len(rows) > LONG:
            parts.append(
                f"<details><summary>{escape(title)} ({len(rows)} rows)</summary>{made}</details>"
            )
        else:
            parts.append(f"<h3>{escape(title)}</h3>{made}")
    return "\n".join([*parts, "</div>"])


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    columns = zip(headings, *rows, strict=True)
    looks = [
        "paper" if heading == PAPER else "" if all(map(_is_number, cells)) else "text"
        for heading, *cells in columns
    ]

    def line(cells: Sequence[str], tag: str) -> str:
        mine = [PAPER] * len(looks) if cells[0] == PAPER else looks
        kinds = [f' class="{look}"' if look else "" for look in mine]
        inner = "".join(
            f"<{tag}{kind}>{escape(value)}</{tag}>"
            for kind, value in zip(kinds, cells, strict=True)
        )
        return f"<tr>{inner}</tr>"

    body = "".join(line(row, "td") for row in rows)
    return (
        f'<div class="scroll"><table><thead>{line(headings, "th")}</thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _is_number(cell: str) -> bool:
    return cell == "–" or cell.lstrip("-")[:1].isdigit()


def _conditions(study: StudyRecord) -> str:
    prompts = study.prompts
    facts = [
        ("Target", words.model_facts(study.target)),
        ("Draft", words.model_facts(study.draft)),
        ("Text", f"{prompts.num_prompts} prompts of {prompts.name}, mean"
                 f" {prompts.mean_prompt_tokens:.0f} tokens, {study.new_tokens} new tokens each"),
        *words.machine_facts(study.machine, study.dtype),
        ("Record", study.id),
    ]  # fmt: skip
    if study.commit:
        facts.append(("Commit", study.commit))
    items = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in facts)
    return f"<h2>What was run on what</h2><dl>{items}</dl>"
