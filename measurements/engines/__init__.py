"""What serving engines and benchmarks write about acceptance and speed, read into one form.

One file per format; ``formats.read_reports`` finds the right one. docs/interop.md
lists what each source means by its numbers and how that is normalised.
"""

from measurements.engines.formats import FORMATS, read_reports, recognise
from measurements.engines.report import EngineReport, survival_of_hazards
from measurements.engines.vllm_forward import ForwardCase, read_forwards

__all__ = [
    "FORMATS", "EngineReport", "ForwardCase", "read_forwards", "read_reports", "recognise",
    "survival_of_hazards",
]  # fmt: skip
