"""Which models on which machine does a reader suppose? Controls, and what follows; no drawing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.machines import WEIGHT_BYTES, measured_machines, pasted_shape
from app.state import Choice, Number, Text, Value
from measurements import ProfileRecord
from simulator import (
    KNOWN_HARDWARE,
    KNOWN_LINKS,
    KNOWN_MODELS,
    Hardware,
    Layout,
    ModelShape,
    Precision,
    StageTime,
    assumed_stage_time,
    known_hardware,
    known_link,
    known_shape,
)

PASTED, OWN = "pasted", "own"
_EXAMPLE = '{"model_type": "llama", "num_hidden_layers": 32, "hidden_size": 4096,' \
    ' "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336,' \
    ' "vocab_size": 128256, "tie_word_embeddings": false}'  # fmt: skip
TARGET = Choice("target", "meta-llama/Llama-3.1-8B", (*KNOWN_MODELS, PASTED))
DRAFT = Choice("draft", "meta-llama/Llama-3.2-1B", KNOWN_MODELS)
CONFIG = Text("config", _EXAMPLE, pasted_shape, longest=3000)
OWN_BANDWIDTH = Number("gbps", 1000.0, 1.0, 100_000.0)
OWN_TFLOPS = Number("tflops", 100.0, 0.01, 100_000.0)
DEVICES = Choice("devices", "1", ("1", "2", "4", "8"))
LINK = Choice("link", "NVLink-4", KNOWN_LINKS)
MACHINE_CONTROLS = (TARGET, DRAFT, CONFIG, OWN_BANDWIDTH, OWN_TFLOPS, DEVICES, LINK)
"""Those whose options do not depend on the records."""


@dataclass(frozen=True)
class Machine:
    """A target and a draft on a machine.

    Attributes
    ----------
    name, draft_name : str
        Of the models.
    target, draft : StageTime
    hardware : Hardware
    dtype : str
    origin : str
        How the hardware's figures came about: published, measured or assumed.
    """

    name: str
    target: StageTime
    draft_name: str
    draft: StageTime
    hardware: Hardware
    dtype: str
    origin: str


def hardware_choice(profiles: Iterable[ProfileRecord]) -> tuple[Choice, dict[str, str]]:
    """The machines to choose from, and the names of those that are not called by their key."""
    measured = measured_machines(profiles)
    names = {OWN: "my own numbers", **{key: one.name for key, one in measured.items()}}
    return Choice("hardware", "H100-SXM", (*KNOWN_HARDWARE, *measured, OWN)), names


def dtype_choice(hardware: Hardware) -> Choice:
    """The kinds of numbers that a machine's peak is known for."""
    known = tuple(hardware.flop_per_second)
    return Choice("dtype", "bfloat16" if "bfloat16" in known else known[0], known)


def devices_choice(values: Mapping[str, Value]) -> Choice:
    """Tensor-parallel devices that both models' heads can be split over.

    Raises
    ------
    ValueError
        If a model is not known.
    """
    heads = [shape.num_heads for shape in _shapes(values)]
    fitting = tuple(n for n in DEVICES.options if not any(h % int(n) for h in heads))
    return Choice(DEVICES.name, DEVICES.default, fitting)


def hardware_of(
    values: Mapping[str, Value], profiles: Iterable[ProfileRecord]
) -> tuple[Hardware, str]:
    """The chosen machine, and how its peaks came about.

    Raises
    ------
    ValueError
        If there is no such machine.
    """
    records = list(profiles)
    control, _ = hardware_choice(records)
    chosen = control.parse(str(values.get(control.name, control.default)))
    measured = measured_machines(records)
    if chosen in measured:
        return measured[chosen], "measured"
    if chosen != OWN:
        return known_hardware(chosen), "published"
    tera, giga = (_number(values, one) for one in (OWN_TFLOPS, OWN_BANDWIDTH))
    any_size = 1.0  # of the memory: nothing here depends on it
    return (
        Hardware("My machine", 1e9 * giga, any_size, {"bfloat16": 1e12 * tera}, "typed in", "now"),
        "assumed",
    )


def machine_of(values: Mapping[str, Value], profiles: Iterable[ProfileRecord]) -> Machine:
    """What the reader's choices come to; those that are not given are the defaults.

    Raises
    ------
    ValueError
        If a model, a machine or a kind of numbers is not known.
    """
    hardware, origin = hardware_of(values, profiles)
    control = dtype_choice(hardware)
    dtype = control.parse(str(values.get(control.name, control.default)))
    name, draft = (str(values.get(one.name, one.default)) for one in (TARGET, DRAFT))
    split = devices_choice(values)
    devices = int(split.parse(str(values.get(split.name, split.default))))
    link = known_link(LINK.parse(str(values.get(LINK.name, LINK.default))))
    layout = Layout(devices, 1, link if devices > 1 else None)
    times = [_time(shape, hardware, dtype, origin, layout) for shape in _shapes(values)]
    return Machine(
        "the pasted model" if name == PASTED else name, times[0], draft, times[1],
        hardware, dtype, origin,
    )  # fmt: skip


def _shapes(values: Mapping[str, Value]) -> tuple[ModelShape, ModelShape]:
    """Of the target and of the draft."""
    name, draft = (str(values.get(one.name, one.default)) for one in (TARGET, DRAFT))
    if name == PASTED:
        target = pasted_shape(str(values.get(CONFIG.name, CONFIG.default)))
    else:
        target = known_shape(name)
    return target, known_shape(draft)


def _number(values: Mapping[str, Value], control: Number) -> float:
    return float(control.parse(str(values.get(control.name, control.default))))


def _time(
    shape: ModelShape, hardware: Hardware, dtype: str, origin: str, layout: Layout
) -> StageTime:
    """Rates a forward reaches: measured ceilings are taken as they are."""
    size = WEIGHT_BYTES[dtype]
    precision = Precision(size, size, max(size, 2.0))
    if origin == "measured":
        return assumed_stage_time(
            shape, hardware, dtype, bandwidth_efficiency=1, flop_efficiency=1,
            precision=precision, layout=layout,
        )  # fmt: skip
    return assumed_stage_time(shape, hardware, dtype, precision=precision, layout=layout)
