"""What do the words mean? The definitions of docs/nomenclature.md, as help texts.

A test holds every one of them against that table.
"""

from __future__ import annotations

from typing import NamedTuple


class Term(NamedTuple):
    """One row of the table: name, symbol ('' where none), unit ('' where none), definition."""

    name: str
    symbol: str
    unit: str
    definition: str


_TERMS = (
    Term("num_draft_tokens", "γ", "tokens", "drafted per round (chain)"),
    Term("round", "", "", "drafting, one verification by the target, commit"),
    Term("acceptance_rate", "α", "", "P(a drafted token is accepted, all before it were);"
         " measured as the mean overlap"),
    Term("mean_emitted", "τ", "tokens/round", "all emitted tokens / all rounds"),
    Term("draft_efficiency", "", "", "accepted / proposed drafts; falls with γ even at constant α,"
         " so never optimise on it"),
    Term("cost_ratio", "c", "", "one draft call / one target call, one token each"),
    Term("verify_slope", "s", "", "extra target time per drafted token, in target steps"),
    Term("host_share", "η", "", "share of an autoregressive step spent outside the models"),
    Term("speedup", "S", "", "tokens/s over the same engine's autoregressive decoding: same"
         " target, batch, hardware, dtype"),
    Term("L0", "", "", "closed form: one acceptance rate, one cost ratio"),
    Term("L1", "", "", "hazards: acceptance by draft position, measured cost curves"),
    Term("L2", "", "", "replay: acceptance of every token along a trace, measured cost curves"),
    Term("provenance", "", "", "where a predicted time comes from: measured, interpolated,"
         " extrapolated, assumed, modelled"),
    Term("indistinguishable", "", "", "settings whose speedups' log ratio has an interval that"
         " holds 0"),
    Term("batch", "B", "sequences", "sequences that share a forward; each accepts on its own"),
    Term("context", "k", "tokens", "in a trace: tokens before a position; for a stage: tokens"
         " cached before the round (one less)"),
    Term("intensity", "", "FLOP/byte", "arithmetic over traffic, of an operator, a stage or a"
         " round"),
    Term("ridge point", "", "FLOP/byte", "intensity at which arithmetic takes as long as traffic;"
         " FLOP/s are dense peaks"),
    Term("roofline", "", "FLOP/s", "most that a machine can compute at an intensity: what its"
         " traffic allows up to the ridge point, its peak beyond"),
    Term("goodput", "", "requests/s", "requests that meet an objective on both, per second"),
    Term("staging", "", "", "a draft that is itself drafted for by a lower level: fewer draft"
         " calls, the same text"),
    Term("lower level", "", "", "what drafts for the draft: an n-gram, a look-up in the text so"
         " far, a smaller model"),
    Term("break-even draft cost", "c*", "", "cost of a draft call above which staging pays, at"
         " equal γ"),
)  # fmt: skip
TERMS = {term.name: term for term in _TERMS}


def explain(*names: str, note: str = "") -> str:
    """Help text of an input or a number: each term with symbol, unit and definition.

    Examples
    --------
    >>> print(explain("num_draft_tokens"))
    **num_draft_tokens γ** [tokens]: drafted per round (chain).
    """
    lines = [note] if note else []
    for name in names:
        term = TERMS[name]
        unit = f" [{term.unit}]" if term.unit else ""
        symbol = term.symbol.replace("*", "\\*")  # Markdown's mark
        title = f"{term.name} {symbol}".strip()
        lines.append(f"**{title}**{unit}: {term.definition}.")
    return "\n\n".join(lines)
