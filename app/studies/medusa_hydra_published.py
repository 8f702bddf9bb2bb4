"""Titles of the medusa-hydra study's tables, and what was published.

All published speeds at batch 1, temperature 0, in 16 bit.
"""

from __future__ import annotations

from typing import Any

HEADS = "how the heads were trained"
ACCURACY = "accuracy of the heads along the target's own text, ranks added up"
TREES = "trees built from the accuracies: predicted and decoded"
SETTINGS = "every setting, decoded"
RATIOS = "Hydra over Medusa, beside what was published"

DEPTH = 5
CHILDREN = 10

# arXiv:2401.10774 (read 2026-11); overhead is tokens per step / speedup, computed
_MEDUSA: list[tuple[str, float, float]] = [
    ("Medusa-2 Vicuna-7B", 2.83, 3.47),
    ("Medusa-2 Zephyr-7B", 2.66, 3.14),
    ("Medusa-2 Vicuna-13B", 2.83, 3.51),
    ("Medusa-2 Vicuna-33B", 2.35, 3.01),
]

# assets/medusa_acc.csv of FasterDecoding/Medusa (read 2026-11): 7B, last logged training batch,
# teacher-forced text
_ACCURACY: list[tuple[float, float]] = [
    (0.560, 0.780), (0.316, 0.563), (0.201, 0.417), (0.147, 0.340), (0.118, 0.300),
]  # fmt: skip

# hemingkx/Spec-Bench, leaderboard (read 2026-11), A100: tokens per step and speedup
_SPEC_BENCH: list[tuple[str, float, float, float, float]] = [
    ("7B", 2.31, 1.71, 3.26, 2.07),
    ("13B", 2.39, 1.80, 3.35, 2.20),
    ("33B", 2.33, 1.76, 3.24, 2.22),
]

# arXiv:2402.05109, from a secondary source, read 2026-11: throughput over Medusa's, 7B, 13B, 33B
_HYDRA: list[tuple[str, float]] = [("7B", 1.11), ("13B", 1.10), ("33B", 1.11)]

PUBLISHED: dict[str, list[dict[str, Any]]] = {
    "Medusa (arXiv:2401.10774): speedup = tokens per step / overhead": [
        {"model": model, "speedup": speedup, "tau": tau, "overhead": tau / speedup}
        for model, speedup, tau in _MEDUSA
    ],
    "accuracy of Medusa's heads, Vicuna-7B, teacher-forced text": [
        {"head": head, "top_1": first, "top_5": five}
        for head, (first, five) in enumerate(_ACCURACY, start=1)
    ],
    "Spec-Bench, A100": [
        {"model": f"Vicuna {size}", "medusa_tau": mt, "medusa_speedup": ms, "hydra_tau": ht,
         "hydra_speedup": hs, "medusa_overhead": mt / ms, "hydra_overhead": ht / hs}
        for size, mt, ms, ht, hs in _SPEC_BENCH
    ],
}  # fmt: skip

HYDRA_OVER_MEDUSA: list[dict[str, Any]] = [
    {"where": f"{source}, {size}", "medusa_tau": one, "hydra_tau": other,
     "tau_ratio": None if one is None or other is None else other / one,
     "speed_ratio": speed, "speed_ratio_low": None, "speed_ratio_high": None}
    for source, size, one, other, speed in [
        *(("Hydra's paper", size, None, None, ratio) for size, ratio in _HYDRA),
        *(("Spec-Bench", size, mt, ht, hs / ms) for size, mt, ms, ht, hs in _SPEC_BENCH),
    ]
]  # fmt: skip
"""Rows that stand behind ours in the table of ratios."""
