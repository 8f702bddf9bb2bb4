"""Which method won a comparison, and which cannot be told apart from it? No drawing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from app.records import draft_shape
from app.words import listing, method_name, sampling_name, span, times
from measurements import MethodRow, SettingRow

AUTOREGRESSIVE = "autoregressive"
THIS_ENGINE = "speculens"


def engine_of(rows: Sequence[MethodRow | SettingRow]) -> str:
    """Whose decoding a record holds; one record is of one engine."""
    return str(rows[0].parameters.get("engine", THIS_ENGINE)) if rows else THIS_ENGINE


def methods_of(rows: Iterable[MethodRow]) -> tuple[str, ...]:
    """Names of all methods that draft, in the order of the record."""
    return tuple(dict.fromkeys(row.method for row in rows if row.method != AUTOREGRESSIVE))


def allowed(
    rows: Iterable[MethodRow],
    methods: Collection[str],
    *,
    lossless_only: bool = False,
    chains_only: bool = False,
) -> list[MethodRow]:
    """Rows of these methods that keep to the limits, fastest first."""
    kept = [
        row
        for row in rows
        if row.method in methods
        and (row.lossless or not lossless_only)
        and (draft_shape(row.parameters) == "chain" or not chains_only)
    ]
    return sorted(kept, key=lambda row: -row.speedup.median)


def best_of_each(ranked: Iterable[MethodRow]) -> list[MethodRow]:
    """The first row of every method."""
    first: dict[str, MethodRow] = {}
    for row in ranked:
        first.setdefault(row.method, row)
    return list(first.values())


def overlaps(row: MethodRow, best: MethodRow) -> bool:
    """Whether the interval of a slower row reaches into that of the best."""
    return row.speedup.high >= best.speedup.low


def row_name(row: MethodRow) -> str:
    """Method and parameters in one short line."""
    return method_name(row.method, row.parameters)


def verdict(ranked: Sequence[MethodRow]) -> str:
    """Who won at one sampling, in one or two sentences.

    Parameters
    ----------
    ranked : sequence of MethodRow
        Fastest first; at least one.
    """
    best, *others = best_of_each(ranked)
    s = best.speedup
    text = (
        f"At {sampling_name(best.sampling)} the fastest is {row_name(best)}: **{times(s.median)}**"
        f" plain decoding (90\xa0%: {span(s.low, s.high)})"
    )
    if s.high < 1:
        return (
            f"At {sampling_name(best.sampling)} none gains; the least slow is {row_name(best)}:"
            + (f" **{times(s.median)}** (90\xa0%: {span(s.low, s.high)}).")
        )
    if s.low <= 1:
        text += ", which does not exclude no gain"
    close = [row.method for row in others if overlaps(row, best)]
    if not others:
        return f"{text}."
    if not close:
        return f"{text}, clearly ahead of every other method."
    if len(close) == len(others) > 1:
        return f"{text}. The intervals of all others reach into its own: {listing(close)}."
    reach = "s of" if len(close) > 1 else " of"
    verb = "reach" if len(close) > 1 else "reaches"
    rest = "; others are slower" if len(close) < len(others) else ""
    return f"{text}. The interval{reach} {listing(close)} {verb} into its own{rest}."
