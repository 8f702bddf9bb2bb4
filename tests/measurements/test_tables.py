"""Is a table with wrong columns or impossible values refused with one clear line?"""

from __future__ import annotations

import pytest

from measurements import STAGES_SCHEMA, TRACE_SCHEMA, as_stages, as_trace
from tests.factories import stages_table, trace_table


def test_columns_and_types_become_exact_in_any_order():
    shuffled = trace_table(greedy=False)
    shuffled = shuffled[sorted(shuffled.columns)].astype({"position": "int64"})
    assert as_trace(shuffled).schema == TRACE_SCHEMA
    assert as_stages(stages_table()).schema == STAGES_SCHEMA


def _set(column, value):
    def change(frame):
        frame = frame.copy()
        frame[column] = frame[column].astype(object)
        frame.loc[3, column] = value
        return frame

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda frame: frame.drop(columns="overlap"), r"columns missing \['overlap'\]"),
        (lambda frame: frame.assign(extra=1), r"not known \['extra'\]"),
        (lambda frame: frame.head(0), "no rows"),
        (_set("draft_prob", 1.5), r"draft_prob 1.5 in row 3 must be in \[0, 1\]"),
        (_set("draft_prob", float("nan")), "draft_prob"),
        (_set("target_prob", 0.0), "target_prob 0 in row 3 must be > 0"),
        (_set("position", 9), "position 9 in row 3 must be 0, 1, 2"),
        (_set("token", 0.5), "token 0.5 in row 3 must be a whole number"),
        (_set("token", "the"), "token nan in row 3 must be a whole number"),
        (lambda frame: frame.iloc[::-1].reset_index(drop=True), "position"),
        (_set("draft_top_tokens", list(range(17))), "draft_top_tokens 17"),
        (_set("draft_top_probs", [0.5]), "as long as draft_top_tokens"),
    ],
)
def test_a_wrong_trace_is_refused(change, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        as_trace(change(trace_table(greedy=False)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_set("stage", "attention"), "unknown stage 'attention'"),
        (_set("mode", "beam"), "unknown mode 'beam'"),
        (_set("seconds", -1.0), "seconds -1 in row 3 must be finite and >= 0"),
        (_set("seconds", float("inf")), "seconds inf"),
        (_set("num_tokens", -2), "num_tokens -2"),
    ],
)
def test_a_wrong_stages_table_is_refused(change, reason):
    with pytest.raises(ValueError, match=reason):
        as_stages(change(stages_table()))
