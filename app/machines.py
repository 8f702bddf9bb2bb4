"""Which models and machines can the Roofline page reckon with? No drawing."""

from __future__ import annotations

import json
from collections.abc import Iterable

from measurements import ProfileRecord
from simulator import Hardware, ModelShape, shape_from_config

WEIGHT_BYTES = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0, "float8": 1.0}
"""Of one stored number by dtype of the arithmetic. [bytes]"""


def pasted_shape(text: str) -> ModelShape:
    """Shape of the model whose config.json was pasted.

    Raises
    ------
    ValueError
        One line: what is wrong with the text.

    Examples
    --------
    >>> pasted_shape("[]")
    Traceback (most recent call last):
    ValueError: a config.json is an object in braces
    """
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"this is not JSON ({error})") from None
    if not isinstance(config, dict):
        raise ValueError("a config.json is an object in braces")
    try:
        return shape_from_config(config)
    except (TypeError, KeyError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"a field of this config has an unusable value ({error})") from None


def measured_machines(profiles: Iterable[ProfileRecord]) -> dict[str, Hardware]:
    """Ceilings of every profiled machine, newest per machine and dtype, by a short key.

    Memory is the machine's own; an accelerator's is not recorded.
    """
    found: dict[str, Hardware] = {}
    for record in profiles:
        machine, ceilings = record.machine, record.ceilings
        found.setdefault(
            f"{machine.slug}.{record.dtype}",
            Hardware(
                f"{machine.accelerator or machine.cpu}, measured in {record.dtype}",
                ceilings.median_read_bandwidth_bytes_per_s,
                float(machine.memory_bytes),
                {record.dtype: ceilings.median_flop_per_s},
                f"medians of profile {record.id}",
                record.created[:10],
            ),
        )
    return found
