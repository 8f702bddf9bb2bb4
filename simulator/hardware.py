"""What can a machine move and compute per second, according to its maker?

Peak figures, dense (without structured sparsity), each with its source. What a
program reaches is less: ``stage_time`` applies efficiencies. Any other machine
is a ``Hardware`` of its own, best made of measured ceilings.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from simulator.checks import above, one_count


@dataclass(frozen=True, eq=False)
class Hardware:
    """Peaks of one device, or of several that share the work.

    Attributes
    ----------
    name : str
    bandwidth : float, > 0
        Memory bandwidth. [bytes/s]
    memory : float, > 0
        Memory size; of the table's devices, what the driver reports. [bytes]
    flop_per_second : mapping of str to float, > 0
        Dense matrix peak by dtype, accumulated in float32. [FLOP/s]
    source : str
        Where the figures come from.
    date : str
        When the source was read, or the machine measured.

    Raises
    ------
    ValueError
        If a figure is not above 0 or no dtype is given.

    Examples
    --------
    >>> mine = Hardware("my card", 500e9, 12e9, {"bfloat16": 60e12}, "measured", "2026-01")
    >>> mine.ridge_point("bfloat16")
    120.0
    """

    name: str
    bandwidth: float
    memory: float
    flop_per_second: Mapping[str, float]
    source: str
    date: str

    def __post_init__(self) -> None:
        above("bandwidth", self.bandwidth, 0)
        above("memory", self.memory, 0)
        if not self.flop_per_second:
            raise ValueError(f"hardware {self.name!r} needs FLOP/s of at least 1 dtype, not 0")
        for dtype, rate in self.flop_per_second.items():
            above(f"flop_per_second[{dtype}]", rate, 0)

    def peak(self, dtype: str) -> float:
        """Dense matrix peak of a dtype; ValueError where it is not known. [FLOP/s]"""
        if dtype not in self.flop_per_second:
            raise ValueError(
                f"{self.name} has no figure for dtype {dtype!r}; known:"
                f" {', '.join(self.flop_per_second)}"
            )
        return self.flop_per_second[dtype]

    def ridge_point(self, dtype: str) -> float:
        """Intensity at which arithmetic takes as long as traffic, (M8.4). [FLOP/byte]"""
        return self.peak(dtype) / self.bandwidth

    def devices(self, number: int) -> "Hardware":
        """So many devices with the work split evenly (tensor parallel).

        Bandwidth, memory and FLOP/s are multiplied. Links between devices cost
        nothing here; a ``Layout`` of a stage time has them.
        """
        n = one_count("number", number, 1)
        return replace(
            self,
            name=f"{n} x {self.name}",
            bandwidth=n * self.bandwidth,
            memory=n * self.memory,
            flop_per_second={dtype: n * rate for dtype, rate in self.flop_per_second.items()},
        )


def _tera(**rates: float) -> dict[str, float]:
    """TFLOP/s by dtype as FLOP/s; ``half`` stands for float16 and bfloat16."""
    both = {"float16": rates["half"], "bfloat16": rates["half"]} if "half" in rates else {}
    return {k: v * 1e12 for k, v in {**both, **rates}.items() if k != "half"}


_NVIDIA = "https://www.nvidia.com/content/dam/en-zz/Solutions"
_A100 = f"{_NVIDIA}/Data-Center/a100/pdf/nvidia-a100-datasheet-us-nvidia-1758950-r4-web.pdf"
_H100 = "https://www.nvidia.com/en-us/data-center/h100/"
_H200 = "https://www.nvidia.com/en-us/data-center/h200/"
_B200 = "https://resources.nvidia.com/en-us-blackwell-architecture/blackwell-architecture-technical-brief (HGX B200)"  # noqa: E501
_L40 = f"{_NVIDIA}/design-visualization/support-guide/NVIDIA-L40-Datasheet-January-2023.pdf"
_ADA = "https://images.nvidia.com/aem-dam/Solutions/Data-Center/l4/nvidia-ada-gpu-architecture-whitepaper-v2.1.pdf"
_T4 = f"{_NVIDIA}/Data-Center/tesla-t4/t4-tensor-core-datasheet-951643.pdf; bandwidth: 10 Gbit/s x 256 bit"  # noqa: E501
_V100 = "https://images.nvidia.com/content/technologies/volta/pdf/volta-v100-datasheet-update-us-1165301-r5.pdf"
_GA102 = "https://images.nvidia.com/aem-dam/en-zz/Solutions/geforce/ampere/pdf/NVIDIA-ampere-GA102-GPU-Architecture-Whitepaper-V1.pdf"
_GB202 = "https://images.nvidia.com/aem-dam/Solutions/geforce/blackwell/nvidia-rtx-blackwell-gpu-architecture.pdf"
_MI300 = "https://www.amd.com/content/dam/amd/en/documents/instinct-tech-docs/data-sheets/amd-instinct-mi300x-data-sheet.pdf"
_MI325 = "https://www.amd.com/en/products/accelerators/instinct/mi300/mi325x.html"
_M2 = "https://www.apple.com/newsroom/2023/06/apple-introduces-m2-ultra; FLOP/s: en.wikipedia.org/wiki/Apple_M2"  # noqa: E501
_M1 = "https://www.apple.com/newsroom/2021/10/introducing-m1-pro-and-m1-max-the-most-powerful-chips-apple-has-ever-built; FLOP/s: en.wikipedia.org/wiki/Apple_M1"  # noqa: E501
_EPYC = "https://www.amd.com/en/products/processors/server/epyc/4th-generation-9004-and-8004-series/amd-epyc-9654.html; FLOP/s: 96 cores x 2.4 GHz x 32 (float32) or 64 (bfloat16) per cycle; 12 x 64 GiB fitted"  # noqa: E501
_XEON = "https://www.intel.com/content/www/us/en/products/sku/231746; FLOP/s: 56 cores x 2.0 GHz x 64 (float32) or 1024 (bfloat16, AMX) per cycle; 8 x 64 GiB fitted"  # noqa: E501

# name: bandwidth [GB/s], memory [MiB, as drivers report it], dense TFLOP/s, source.
# docs/sources.md says what was read for each figure, and which two documents disagree.
_TABLE = {
    "A100-SXM-80GB": (2039, 81920, _tera(float32=19.5, half=312), _A100),
    "A100-PCIe-80GB": (1935, 81920, _tera(float32=19.5, half=312), _A100),
    "A100-SXM-40GB": (1555, 40960, _tera(float32=19.5, half=312), _A100),
    "H100-SXM": (3350, 81559, _tera(float32=67, half=989.4, float8=1978.9), _H100),
    "H100-PCIe": (2000, 81559, _tera(float32=51, half=756, float8=1513), _H100),
    "H200-SXM": (4800, 143771, _tera(float32=67, half=989.4, float8=1978.9), _H200),
    "B200-SXM": (8000, 183359, _tera(float32=80, half=2250, float8=4500), _B200),
    "L40S": (864, 46068, _tera(float32=91.6, half=362.05, float8=733),
             "https://resources.nvidia.com/en-us-l40s/l40s-datasheet-28413"),
    "L40": (864, 46068, _tera(float32=90.5, half=181.05, float8=362), _L40),
    "L4": (300, 23034, _tera(float32=30.3, half=121, float8=242.5), _ADA),
    "A10": (600, 23028, _tera(float32=31.2, half=125),
            f"{_NVIDIA}/Data-Center/a10/pdf/a10-datasheet.pdf"),
    "T4": (320, 15360, _tera(float32=8.1, float16=65), _T4),
    "V100-SXM2-32GB": (900, 32768, _tera(float32=15.7, float16=125), _V100),
    "RTX-3090": (936, 24576, _tera(float32=35.6, half=71), _GA102),
    "RTX-4090": (1008, 24564, _tera(float32=82.6, half=165.2, float8=330.3), _ADA),
    "RTX-5090": (1792, 32607, _tera(float32=104.8, half=209.5, float8=419), _GB202),
    "MI300X": (5300, 196592, _tera(float32=163.4, half=1307.4, float8=2614.9), _MI300),
    "MI325X": (6000, 262144, _tera(float32=163.4, half=1307.4, float8=2614.9), _MI325),
    "TPU-v5e": (819, 16384, _tera(bfloat16=197), "https://cloud.google.com/tpu/docs/v5e"),
    "M1-Max": (400, 65536, _tera(float32=10.4, float16=10.4), _M1),
    "M2-Ultra": (800, 196608, _tera(float32=27.2, float16=27.2), _M2),
    "EPYC-9654": (460.8, 786432, _tera(float32=7.37, bfloat16=14.7), _EPYC),
    "Xeon-8480+": (307.2, 524288, _tera(float32=7.17, bfloat16=114.7), _XEON),
}  # fmt: skip
_CHECKED = "2026-11-21"

KNOWN_HARDWARE: tuple[str, ...] = tuple(_TABLE)
"""Names that ``known_hardware`` answers to."""


def known_hardware(name: str) -> Hardware:
    """Published peaks of a well-known device.

    Parameters
    ----------
    name : str
        One of ``KNOWN_HARDWARE``; case does not matter.

    Returns
    -------
    Hardware

    Raises
    ------
    ValueError
        If the name is not in the table; the message lists similar ones.

    Examples
    --------
    >>> round(known_hardware("RTX-4090").ridge_point("bfloat16"))
    164
    """
    lower = {known.lower(): known for known in KNOWN_HARDWARE}
    if name.lower() not in lower:
        near = difflib.get_close_matches(name.lower(), lower, n=4, cutoff=0.3)
        listed = ", ".join(lower[n] for n in near) or ", ".join(KNOWN_HARDWARE)
        raise ValueError(f"hardware {name!r} is not in the table; similar: {listed}")
    known = lower[name.lower()]
    bandwidth, memory, rates, source = _TABLE[known]
    return Hardware(known, bandwidth * 1e9, memory * 2.0**20, rates, source, _CHECKED)
