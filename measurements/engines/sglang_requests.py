"""SGLang's ``meta_info``: what did each request accept?

Keys of ``srt/managers/tokenizer_manager.py`` (SGLang 0.5.23, read 2026-11).
``spec_accept_length`` divides all completion tokens, the one that prefill
yields included, by the verifications; here drafts kept per verification, plus
one, are what counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from measurements.engines.reading import (
    Row,
    agree,
    choose,
    count,
    counts,
    make_report,
    number,
    read_lines,
)
from measurements.engines.report import EngineReport, hazards_from_counts
from measurements.files import RecordError

DEFINITION = (
    "spec_accept_length = completion_tokens / spec_verify_ct, the bonus and the prefill's token"
    " included; here 1 + spec_num_correct_drafts / spec_verify_ct, summed over requests"
)

SHAPES = {"chain": "eagle-topk 1: one draft per position", "tree": "eagle-topk above 1"}


def read(paths: Sequence[Path], definition: str | None) -> tuple[EngineReport, ...]:
    """One report over all responses of the files.

    Raises
    ------
    RecordError
        If a response lacks the counts, they contradict its rate or histogram, or
        the drafts may be a chain or a tree and neither was named.
    """
    rows = [(p, where, _meta_info(p, where, row)) for p in paths for where, row in read_lines(p)]
    requests = [_request(*row) for row in rows]
    rounds = sum(calls for calls, _, _, _ in requests)
    correct = sum(kept for _, kept, _, _ in requests)
    proposed = sum(drafted for _, _, drafted, _ in requests)
    longest = max(len(h) for _, _, _, h in requests)
    kept = [sum(h[n] for _, _, _, h in requests if n < len(h)) for n in range(longest)]
    nodes, vary = -(-proposed // rounds), bool(proposed % rounds)
    tree = _is_tree(rows[0][0], definition, nodes, longest - 1)
    gamma = longest - 1 if tree else max(nodes, longest - 1)
    kept += [0] * (gamma + 1 - len(kept))
    complete = all(sum(h) == calls for calls, _, _, h in requests)
    path = rows[0][0]
    note = "draft lengths vary: a position not drafted counts as rejected"
    report = make_report(
        path,
        format="sglang-requests",
        definition=DEFINITION,
        tau=1.0 + correct / rounds,
        num_draft_tokens=gamma,
        hazards=hazards_from_counts(kept) if complete else None,
        rounds=rounds,
        drafted_tokens=proposed,
        accepted_tokens=correct,
        tokens=sum(count(p, row, "completion_tokens", w, 1) for p, w, row in rows),
        num_requests=len(rows),
        mean_of_requests=sum(1.0 + k / c for c, k, _, _ in requests) / len(requests),
        tree=tree,
        lengths_vary=vary and not tree,
        engine="SGLang",
        notes=(f"a tree of {nodes} drafts",) if tree else (note,) if vary else (),
    )
    return (report,)


def _is_tree(path: Path, definition: str | None, drafted: int, most_kept: int) -> bool:
    """A round that kept all it drafted proves a chain; else it has to be said."""
    if definition is None and most_kept >= drafted:
        return False
    why = f"drafts {drafted} tokens per round and never kept more than {max(most_kept, 0)}"
    return choose(path, definition, SHAPES, why) == "tree"


def _meta_info(path: Path, where: str, row: Row) -> Row:
    choices = row.get("choices")
    if "meta_info" not in row and isinstance(choices, list) and len(choices) == 1:
        row = choices[0] if isinstance(choices[0], dict) else row
    inner = row.get("meta_info", row)
    if not isinstance(inner, dict) or "spec_verify_ct" not in inner:
        raise RecordError(path, f"{where} lacks 'meta_info' with 'spec_verify_ct'")
    return inner


def _request(path: Path, where: str, row: Row) -> tuple[int, int, int, list[int]]:
    """Verifications, drafts kept, drafts proposed, verifications by drafts kept."""
    calls = count(path, row, "spec_verify_ct", where, 1)
    correct = count(path, row, "spec_num_correct_drafts", where)
    proposed = count(path, row, "spec_num_proposed_drafts", where, 1)
    if "spec_accept_rate" in row:
        rate = number(path, row, "spec_accept_rate", where)
        agree(path, where, "spec_accept_rate", rate, correct / proposed)
    if "spec_accept_length" in row:
        tokens = count(path, row, "completion_tokens", where, 1)
        length = number(path, row, "spec_accept_length", where)
        agree(path, where, "spec_accept_length", length, tokens / calls)
    histogram: list[int] = []
    if row.get("spec_correct_drafts_histogram"):
        key = "spec_correct_drafts_histogram"
        histogram = counts(path, row, key, where)
        agree(path, where, key, sum(histogram), calls)
        total = sum(n * v for n, v in enumerate(histogram))
        agree(path, where, "spec_num_correct_drafts", correct, total)
    return calls, correct, proposed, histogram
