"""How does a decode look as text? HTML, escaped; no engine and no Streamlit."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from app.stage_groups import GROUP_LABELS, GROUPS, grouped
from app.style import (
    FIDELITY_COLOURS,
    GROUP_COLOURS,
    NEUTRAL,
    TAU_COLOUR,
    fade,
)
from app.watching import ShownRound
from app.words import percent

_COLOURS = {
    "target": NEUTRAL,
    "recovered": GROUP_COLOURS["draft"],
    "bonus": FIDELITY_COLOURS["L1"],
    "draft": FIDELITY_COLOURS["L2"],
}
_MEANINGS = {
    "target": "a plain step of the target",
    "recovered": "the target, after a rejection",
    "bonus": "the target, all drafts kept",
    "draft": "a kept draft",
}
_BRANCHES_NAMED = 12  # in the hover text of a tree


def maker_name(level: str) -> str:
    """A level of the stack as a reader understands it.

    Examples
    --------
    >>> maker_name("bonus"), maker_name("ngram-T1")
    ('the target, all drafts kept', 'a kept draft of ngram-T1')
    """
    return _MEANINGS.get(level, f"a kept draft of {level}")


def as_html(prompt: str, rounds: tuple[ShownRound, ...], *, rejected: bool = True) -> str:
    """Prompt and text, coloured by the level that produced each token.

    Parameters
    ----------
    prompt : str
    rounds : tuple of ShownRound
    rejected : bool
        Also drafts that were dropped: struck through where they were a text, counted where
        they were branches of a tree.

    Returns
    -------
    str
        Escaped; no token can bring markup of its own.
    """
    parts = [f'<span class="prompt">{escape(prompt)}</span>']
    for number, one in enumerate(rounds, start=1):
        *kept, last = zip(one.tokens, one.provenance, strict=True)
        parts += [_token(token, level, number) for token, level in kept]
        if rejected and one.rejected:
            parts.append(_dropped(one, number))
        parts.append(_token(*last, number))
    return f'<div class="written">{"".join(parts)}</div>'


def legend(makers: Mapping[str, int]) -> str:
    """Who made how many of the tokens, most first."""
    total = sum(makers.values())
    items = [
        f'<span class="key">{_swatch(level)}{escape(maker_name(level))}'
        f" {percent(count / total, 0)}</span>"
        for level, count in sorted(makers.items(), key=lambda item: -item[1])
    ]
    return f'<div class="keys">{"".join(items)}</div>'


def time_bar(seconds: Mapping[str, float]) -> str:
    """The decode time so far as one bar: target, drafting, host, rest."""
    sums = grouped(seconds)
    total = sum(sums.values())
    names = {**GROUP_LABELS, "draft": "drafting"}
    bars = [
        f'<span style="flex:{sums[group] / total:.4f};background:{GROUP_COLOURS[group]}"'
        f' title="{names[group]}: {percent(sums[group] / total)} of the time, measured"></span>'
        for group in GROUPS
    ]
    keys = [
        f'<span class="key"><i style="background:{GROUP_COLOURS[group]}"></i>{names[group]}'
        f" {percent(sums[group] / total, 0)}</span>"
        for group in GROUPS
    ]
    return f'<div class="split">{"".join(bars)}</div><div class="keys">{"".join(keys)}</div>'


def _token(text: str, level: str, number: int) -> str:
    colour = _colour(level)
    return (
        f'<span style="background:{fade(colour, 0.22)};border-bottom:2px'
        f' {_line(level)} {colour}" title="{escape(maker_name(level))}, round {number}">'
        f"{escape(text)}</span>"
    )


def _dropped(one: ShownRound, number: int) -> str:
    text = "".join(one.rejected)
    if not one.branches:
        return f'<s title="rejected in round {number}">{escape(text)}</s>'
    named = " · ".join(one.rejected[:_BRANCHES_NAMED])
    more = " …" if len(one.rejected) > _BRANCHES_NAMED else ""
    return (
        f'<sup title="branches dropped in round {number}: {escape(named, quote=True)}{more}">'
        f"−{len(one.rejected)}</sup>"
    )


def _colour(level: str) -> str:
    return _COLOURS.get(level, TAU_COLOUR)


def _line(level: str) -> str:
    """Told apart without colour too: the target's tokens dotted, the lower levels' dashed."""
    if level in ("target", "recovered", "bonus"):
        return "dotted"
    return "solid" if level == "draft" else "dashed"


def _swatch(level: str) -> str:
    colour = _colour(level)
    line = f"border-bottom:2px {_line(level)} {colour}"
    return f'<i style="background:{fade(colour, 0.35)};{line}"></i>'
