"""What would speculation gain on so many devices of some hardware? JSON-ready; no printing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.machines import WEIGHT_BYTES
from simulator import (
    Layout,
    Link,
    Precision,
    Server,
    assumed_stage_time,
    expected_emitted_tokens,
    known_hardware,
    known_link,
    known_shape,
    serving_speedup,
)


@dataclass(frozen=True)
class HardwareScenario:
    """Models, hardware, link and load.

    Attributes
    ----------
    target, draft : str
        Names of known models.
    hardware : str
    link : str or None
        Needed by more than one device.
    dtype : str
    acceptance_rate : float
        [unitless]
    num_draft_tokens : tuple of int
        [tokens]
    batch : int
        Over all replicas. [sequences]
    context : int
        [tokens]
    replicas : int
        Data parallel; each has its part of the batch.
    """

    target: str
    draft: str
    hardware: str
    link: str | None
    dtype: str
    acceptance_rate: float
    num_draft_tokens: tuple[int, ...]
    batch: int
    context: int
    replicas: int = 1


def scenarios(asked: HardwareScenario, degrees: Sequence[int]) -> list[dict[str, Any]]:
    """A row for every number of devices and drafts.

    Raises
    ------
    ValueError
        If a name is unknown, a number leaves its bound, or devices have no link.
    """
    if asked.dtype not in WEIGHT_BYTES:
        raise ValueError(f"dtype must be one of {', '.join(WEIGHT_BYTES)}, not {asked.dtype!r}")
    if not 1 <= asked.replicas <= asked.batch:
        raise ValueError(f"replicas must be in 1 to the batch {asked.batch}, not {asked.replicas}")
    link = None if asked.link is None else known_link(asked.link)
    return [_row(asked, link, p, gamma) for p in degrees for gamma in asked.num_draft_tokens]


def _row(asked: HardwareScenario, link: Link | None, degree: int, gamma: int) -> dict[str, Any]:
    size = WEIGHT_BYTES[asked.dtype]
    target, draft = (
        assumed_stage_time(
            known_shape(name), known_hardware(asked.hardware), asked.dtype,
            precision=Precision(size, size, max(size, 2.0)), layout=Layout(degree, 1, link),
        )
        for name in (asked.target, asked.draft)
    )  # fmt: skip
    rows = asked.batch / asked.replicas
    server = Server(target, draft)
    step = float(server.step_seconds(asked.context, rows))
    taken = float(server.round_seconds(gamma, asked.context, rows))
    tau = float(expected_emitted_tokens(asked.acceptance_rate, gamma))
    said = gamma * draft.communication_seconds(1, rows)
    said += target.communication_seconds(gamma + 1, rows)
    return {
        "tensor_parallel": degree,
        "replicas": asked.replicas,
        "num_draft_tokens": gamma,
        "step_seconds": step,
        "step_communication": float(target.communication_seconds(1, rows)) / step,
        "round_seconds": taken,
        "round_communication": float(said) / taken,
        "tau": tau,
        "speedup": float(serving_speedup(server, gamma, tau, asked.context, rows)),
        "tokens_per_s": asked.batch * tau / taken,
    }
