"""What does a profile know about every method: which columns, and is this table one of them?

*Windows* say how many drafts a round would keep that starts at a position of
the target's own text; *rounds* what real rounds took. Together they are all
that a prediction of a method needs (docs/model.md, M1 and M6).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from measurements.tables import MODES, conform, refuse

WINDOWS_SCHEMA = pa.schema(
    [
        ("method", pa.string()),
        ("parameters", pa.string()),  # see naming.canonical_parameters
        ("sampling", pa.string()),  # label
        ("prompt", pa.int32()),
        ("position", pa.int32()),  # where the round starts
        ("context", pa.int32()),  # tokens before this one
        ("num_drafted", pa.int32()),  # tokens that the target verifies; 0 is a plain step
        ("survival", pa.list_(pa.float32())),  # P(first j tokens are kept drafts), j = 0, 1, ...
        ("draft_calls", pa.float64()),  # forwards of the draft; null where no model drafts
        ("exact", pa.bool_()),  # survival is the law given the text, not an estimate
    ]
)

ROUNDS_SCHEMA = pa.schema(
    [
        ("method", pa.string()),
        ("parameters", pa.string()),
        ("mode", pa.string()),
        ("block", pa.int32()),
        ("round", pa.int32()),  # within its decode; the first ones are not kept
        ("context", pa.int32()),  # tokens cached before the round
        ("num_drafted", pa.int32()),
        ("draft_calls", pa.float64()),  # forwards of the draft; null where no model drafts
        ("stage", pa.string()),  # a stage, a level of a staged draft, or round: all of it
        ("seconds", pa.float64()),  # summed over the round
    ]
)


def as_windows(frame: pd.DataFrame) -> pa.Table:
    """The windows table in its exact columns and types, rows in replay order.

    Parameters
    ----------
    frame : DataFrame
        Columns of ``WINDOWS_SCHEMA`` in any order; positions 0, 1, 2, ... one
        behind the other within a prompt of a method.

    Raises
    ------
    ValueError
        One line: which column or value is wrong.
    """
    table = conform(frame, WINDOWS_SCHEMA, "windows", may_be_null=("draft_calls",))
    position = table["position"].to_numpy()
    follows = (position == 0) | (position == np.concatenate([[-1], position[:-1] + 1]))
    refuse(~follows, "windows", "position", position, "0, 1, 2, … within a prompt")
    for column in ("prompt", "context", "num_drafted", "draft_calls"):
        values = table[column].to_numpy(zero_copy_only=False)
        refuse(values < 0, "windows", column, values, ">= 0")
    _refuse_unlawful(table["survival"].combine_chunks())
    return table


def as_rounds(frame: pd.DataFrame) -> pa.Table:
    """The rounds table in its exact columns and types.

    Parameters
    ----------
    frame : DataFrame
        Columns of ``ROUNDS_SCHEMA`` in any order; draft_calls may be missing, as in
        older tables.

    Raises
    ------
    ValueError
        One line: which column or value is wrong.
    """
    if "draft_calls" not in frame.columns:
        frame = frame.assign(draft_calls=np.nan)
    table = conform(frame, ROUNDS_SCHEMA, "rounds", may_be_null=("draft_calls",))
    if unknown := sorted(set(table["mode"].to_pylist()) - set(MODES)):
        raise ValueError(f"rounds: unknown mode {unknown[0]!r}, known are {list(MODES)}")
    seconds = table["seconds"].to_numpy()
    refuse(~np.isfinite(seconds) | (seconds < 0), "rounds", "seconds", seconds, "finite and >= 0")
    for column in ("block", "round", "context", "num_drafted", "draft_calls"):
        values = table[column].to_numpy()
        refuse(values < 0, "rounds", column, values, ">= 0")
    return table


def _refuse_unlawful(survival: pa.ListArray) -> None:
    """A law of kept drafts begins with 1, never rises and stays in [0, 1]."""
    offsets = survival.offsets.to_numpy()
    values = survival.values.to_numpy(zero_copy_only=False)
    first, sizes = offsets[:-1], np.diff(offsets)
    refuse(sizes < 1, "windows", "survival", sizes, "at least 1 value")
    refuse(values[first] != 1, "windows", "survival", values[first], "1 at j = 0")
    row = np.repeat(np.arange(len(sizes)), sizes)
    before = np.concatenate([[np.inf], values[:-1]])
    before[first] = np.inf
    lawful = (values <= before) & (values >= 0)  # false for NaN too
    if not lawful.all():
        worst = int(np.argmax(~lawful))
        raise ValueError(
            f"windows: survival {values[worst]:g} in row {row[worst]} must lie "
            "between 0 and the value before it"
        )
