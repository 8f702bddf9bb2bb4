"""Which columns do the sample tables have, and is this table one of them?

Two tables stand beside a profile: *stages* (one row per timed stage) and one
*trace* per sampling (one row per generated token). A profile of more methods
than the chain has two more (:mod:`measurements.method_tables`). ``as_stages``
and ``as_trace`` bring a DataFrame into the exact columns and types, or refuse it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

STAGE_NAMES = (
    "target", "draft", "draft_sampling", "sampling", "verification", "commit", "round", "prefill",
)  # fmt: skip
MODES = ("greedy", "sampled", "filtered")
MAX_TOP_TOKENS = 16

STAGES_SCHEMA = pa.schema(
    [
        ("stage", pa.string()),
        ("mode", pa.string()),
        ("num_draft_tokens", pa.int32()),  # of the round it was timed in; 0 = autoregressive
        ("num_tokens", pa.int32()),  # tokens the stage processed
        ("context", pa.int32()),  # tokens cached before the round
        ("batch", pa.int32()),
        ("repeat", pa.int32()),
        ("seconds", pa.float64()),
    ]
)

TRACE_SCHEMA = pa.schema(
    [
        ("prompt", pa.int32()),
        ("position", pa.int32()),
        ("context", pa.int32()),  # tokens before this one
        ("token", pa.int32()),
        ("target_prob", pa.float64()),  # p(x), warped by the sampling
        ("draft_prob", pa.float64()),  # q(x), warped by the sampling
        ("overlap", pa.float64()),  # sum of min(p, q) over the vocabulary
        ("draft_rank", pa.int32()),  # 0 = the draft's favourite
        ("draft_entropy", pa.float32()),  # [nats]
        ("draft_top_tokens", pa.list_(pa.int32())),
        ("draft_top_probs", pa.list_(pa.float32())),
    ]
)

# Sums of float32 probabilities may exceed 1 by rounding; anything larger is an error.
_PROBABILITY_SLACK = 1e-5


def as_stages(frame: pd.DataFrame) -> pa.Table:
    """The stages table in its exact columns and types.

    Parameters
    ----------
    frame : DataFrame
        Columns of ``STAGES_SCHEMA`` in any order.

    Raises
    ------
    ValueError
        One line: which column or value is wrong.
    """
    table = conform(frame, STAGES_SCHEMA, "stages")
    checked = table.to_pandas()
    for column, known in (("stage", STAGE_NAMES), ("mode", MODES)):
        if unknown := sorted(set(checked[column]) - set(known)):
            raise ValueError(f"stages: unknown {column} {unknown[0]!r}, known are {list(known)}")
    seconds = checked["seconds"].to_numpy()
    refuse(~np.isfinite(seconds) | (seconds < 0), "stages", "seconds", seconds, "finite and >= 0")
    for column in ("num_draft_tokens", "num_tokens", "context", "repeat"):
        values = checked[column].to_numpy()
        refuse(values < 0, "stages", column, values, ">= 0")
    return table


def as_trace(frame: pd.DataFrame) -> pa.Table:
    """The trace table in its exact columns and types, rows in replay order.

    Parameters
    ----------
    frame : DataFrame
        Columns of ``TRACE_SCHEMA`` in any order; rows sorted by prompt, and
        positions 0, 1, 2, … within every prompt.

    Raises
    ------
    ValueError
        One line: which column or value is wrong.
    """
    table = conform(frame, TRACE_SCHEMA, "trace")
    checked = table.to_pandas()
    for column in ("target_prob", "draft_prob", "overlap"):
        values = checked[column].to_numpy()
        bad = ~((values >= 0) & (values <= 1 + _PROBABILITY_SLACK))
        refuse(bad, "trace", column, values, "in [0, 1]")
    emitted = checked["target_prob"].to_numpy()
    refuse(emitted <= 0, "trace", "target_prob", emitted, "> 0 for an emitted token")
    prompt = checked["prompt"].to_numpy()
    position = checked["position"].to_numpy()
    first = np.diff(prompt, prepend=prompt[:1] - 1) != 0
    expected = np.where(first, 0, np.concatenate([[0], position[:-1] + 1]))
    refuse(position != expected, "trace", "position", position, "0, 1, 2, … within a prompt")
    refuse(np.diff(prompt, prepend=prompt[:1]) < 0, "trace", "prompt", prompt, "sorted")
    tops = checked["draft_top_tokens"].map(len).to_numpy()
    refuse(tops > MAX_TOP_TOKENS, "trace", "draft_top_tokens", tops, f"<= {MAX_TOP_TOKENS} long")
    unequal = tops != checked["draft_top_probs"].map(len).to_numpy()
    refuse(unequal, "trace", "draft_top_probs", tops, "as long as draft_top_tokens")
    return table


def conform(
    frame: pd.DataFrame, schema: pa.Schema, table: str, may_be_null: Sequence[str] = ()
) -> pa.Table:
    """The frame as a table of this schema; one line of ValueError where it is none."""
    wanted = schema.names
    missing = [name for name in wanted if name not in frame.columns]
    extra = [str(name) for name in frame.columns if name not in wanted]
    if missing or extra:
        raise ValueError(f"{table}: columns missing {missing}, not known {extra}")
    if len(frame) == 0:
        raise ValueError(f"{table}: no rows")
    for field in schema:
        if pa.types.is_integer(field.type):
            _refuse_fractions(frame[field.name], table)
    try:
        result = pa.Table.from_pandas(frame[wanted], schema=schema, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ValueError(f"{table}: {' '.join(str(error).split())}") from None
    for name in wanted:
        if result[name].null_count and name not in may_be_null:
            raise ValueError(f"{table}: column {name!r} has {result[name].null_count} null values")
    return result.replace_schema_metadata(None)


def _refuse_fractions(column: pd.Series, table: str) -> None:
    """Arrow cuts a fraction off an object column without a word."""
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    refuse(values != np.round(values), table, str(column.name), values, "a whole number")


def refuse(bad: np.ndarray, table: str, column: str, values: np.ndarray, bound: str) -> None:
    """Raise a ValueError that names the first bad row, if there is one."""
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(f"{table}: {column} {values[row]:g} in row {row} must be {bound}")
