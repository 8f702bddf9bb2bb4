"""How far can the model be trusted, over a whole campaign? One HTML file that works offline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from string import Template

from plotly.offline import get_plotlyjs

from app import figures, words
from app.campaign import Verdict, Wrong, verdict
from app.judged import judged
from app.report import PAGE, section
from measurements import SettingRow, ValidationRecord

MOST_WRONG = 40
"""So many of the worst settings are listed."""


def render(records: Sequence[ValidationRecord]) -> str:
    """A self-contained report of a campaign.

    Parameters
    ----------
    records : sequence of ValidationRecord
        Of one machine, pair and dtype; at least one.

    Returns
    -------
    str
        An HTML document without references to other files (about 5 MB: it
        carries the plotting library).

    Raises
    ------
    ValueError
        If the records do not belong together.
    """
    found = verdict(records)
    rows = [row for record in records for row in record.settings]
    first = records[0]
    body = [
        "<h1>How wrong is the model on text it has not seen?</h1>",
        "".join(f"<p>{escape(line)}</p>" for line in found.lines()),
        section(
            "Predicted against measured",
            "One point per setting, with 90 % intervals; on the dotted line a prediction is exact.",
            {
                record.prompts.name: figures.predicted_against_measured(judged([record]), 460)
                for record in records
            },
        ),
        section(
            "Errors by method and fidelity",
            "L0 is the textbook formula, L1 knows acceptance by position, L2 replays the text. The"
            " band is ±5 %.",
            {"All settings": figures.errors_by_method(judged(records), 460)},
        ),
        _methods(found),
        _wrong(found.wrong),
        section(
            "Prompt by prompt",
            "The setting with the largest gain and the one that was foretold worst: the gain of"
            " every prompt, sorted, with the replay of its own text.",
            {
                words.setting_name(row): figures.per_prompt_speedup(row, 380)
                for row in (words.best_measured(rows), _worst(rows))
            },
        ),
        _settings(records),
        _conditions(records),
    ]
    subtitle = (
        f"{first.target.name} with draft {first.draft.name} ·"
        f" {first.machine.accelerator or first.machine.cpu} · {first.dtype} ·"
        f" {words.moment(first.created)}"
    )
    return Template(PAGE.read_text(encoding="utf-8")).substitute(
        title=escape(f"speculens: {found.settings} settings foretold and measured"),
        subtitle=escape(subtitle), plotly=get_plotlyjs(), body="\n".join(body),
    )  # fmt: skip


def _worst(rows: Sequence[SettingRow]) -> SettingRow:
    return max(rows, key=lambda row: abs(row.speedup.L2 / row.speedup.measured - 1))


def _methods(found: Verdict) -> str:
    heads = ["method", "settings", "L2", "worst", "bias", "L1", "L0", "τ on these texts"]
    rows = [
        [
            row.method, str(row.settings), words.percent(row.median["L2"]),
            words.percent(row.worst["L2"]), words.percent(row.bias),
            words.percent(row.median["L1"]), words.percent(row.median["L0"]),
            words.percent(row.tau_same_texts),
        ]
        for row in found.by_method
    ]  # fmt: skip
    note = "Median absolute error of the speedup, worst and mean signed error of L2."
    return _table("By method", note, heads, rows)


def _wrong(cases: Sequence[Wrong]) -> str:
    heads = ["prompts", "sampling", "setting", "error", "term to blame", "its part", "figures"]
    rows = [
        [
            case.prompts, case.sampling, words.method_name(case.method, case.parameters),
            words.percent(case.error), case.term, words.percent(case.share), case.explanation,
        ]
        for case in cases[:MOST_WRONG]
    ]  # fmt: skip
    note = (
        f"{len(cases)} settings are off by more than 5 %. The error is split exactly; the term"
        " named has the largest part of it."
    )
    return _table("The worst cases, explained", note, heads, rows)


def _settings(records: Sequence[ValidationRecord]) -> str:
    heads = [
        "prompts", "sampling", "setting", "measured", "90 %", "foretold", "90 %", "error", "L1",
        "L0", "τ measured", "τ foretold", "τ these texts",
    ]  # fmt: skip
    rows = []
    for record in records:
        for row in record.settings:
            s, tau = row.speedup, row.tau
            tokens = sum(p.num_tokens for p in row.per_prompt)
            own = f"{tokens / row.rounds.L2:.2f}" if row.rounds.same_texts else "–"
            rows.append(
                [
                    record.prompts.name, row.sampling.label,
                    words.method_name(row.method, row.parameters), words.times(s.measured),
                    words.span(s.measured_low, s.measured_high), words.times(s.L2),
                    words.span(s.L2_low, s.L2_high), words.percent(s.L2 / s.measured - 1),
                    words.times(s.L1), words.times(s.L0), f"{tau.measured:.2f}",
                    f"{tau.L2:.2f}", own,
                ]
            )  # fmt: skip
    note = "Speedups [×] over the same engine’s decoding without drafts; τ is tokens per round."
    return _table("All settings", note, heads, rows)


def _table(heading: str, note: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    lines = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f'<h2>{escape(heading)}</h2><p class="note">{escape(note)}</p><div class="scroll"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def _conditions(records: Sequence[ValidationRecord]) -> str:
    first = records[0]
    facts = [
        ("Target", words.model_facts(first.target)),
        ("Draft", words.model_facts(first.draft)),
        *words.machine_facts(first.machine, first.dtype),
    ]
    for record in records:
        facts.append(
            (
                "Text",
                f"{record.prompts.num_prompts} prompts of {record.prompts.name}, mean"
                f" {record.prompts.mean_prompt_tokens:.0f} tokens, {record.new_tokens} new tokens"
                f" each; foretold from {record.profile_id}, measured in {record.id}",
            )
        )
    items = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in facts)
    return f"<h2>Machine and conditions</h2><dl>{items}</dl>"
