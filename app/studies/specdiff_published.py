"""Titles of the specdiff study's tables, and what was published."""

from __future__ import annotations

from typing import Any

MODELS = "who drafts"
SETTINGS = "every setting, decoded"
KEPT = "share of drafts kept up to each position"
NEEDED = "what the diffusion drafter would have to reach"
RATIOS = "the better drafter, each at its best, beside the paper's"
FEW_STEPS = 2  # steps of the sweep over draft tokens

# arXiv:2408.05636 v4 (NAACL 2025), as given by a secondary source, read 2026-11: 2 A100, T = 0,
# 1024 tokens; drafters of 110M (diffusion) and 86M (GPT-2) parameters
PAPER: list[tuple[str, str, float, float]] = [
    ("CNN/DM", "GPT-2 XL 1.5B", 4.80, 3.58),
    ("OpenWebText", "GPT-2 XL 1.5B", 5.38, 3.66),
    ("CNN/DM", "GPT-NEO 2.7B", 6.63, 5.45),
    ("OpenWebText", "GPT-NEO 2.7B", 7.23, 4.12),
]
PUBLISHED: dict[str, list[dict[str, Any]]] = {
    "speedups of SpecDiff (arXiv:2408.05636 v4), T = 0, two A100": [
        {"data": data, "target": target, "diffusion": one, "autoregressive": other,
         "ratio": one / other}
        for data, target, one, other in PAPER
    ],
    "the same, Vicuna-33B on MT-Bench, drafter 141M": [
        {"drafter": "diffusion", "speedup": 2.61},
        {"drafter": "EAGLE", "speedup": 2.41},
        {"drafter": "EAGLE-2", "speedup": 2.60},
    ],
}  # fmt: skip
