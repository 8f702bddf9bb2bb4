"""Which stages of a round belong together, and what are they called? Words only, no colours."""

from __future__ import annotations

from collections.abc import Mapping

GROUPS: dict[str, tuple[str, ...]] = {
    "target": ("target",),
    "draft": ("draft",),
    "host": ("draft_sampling", "sampling", "verification", "commit"),
    "rest": ("rest",),
}
GROUP_LABELS = {
    "target": "target",
    "draft": "draft",
    "host": "host work",
    "rest": "unexplained",
}
STAGE_LABELS = {
    "target": "target forward",
    "draft": "draft forwards",
    "draft_sampling": "draft sampling",
    "sampling": "token sampling",
    "verification": "verification",
    "commit": "cache commit",
    "rest": "unexplained rest",
}


def grouped(stages: Mapping[str, float]) -> dict[str, float]:
    """Stage values added up by group; a stage no group names is a level of a staged draft.

    Examples
    --------
    >>> grouped({"target": 0.5, "lookup": 0.125, "commit": 0.125, "sampling": 0.0625})
    {'target': 0.5, 'draft': 0.125, 'host': 0.1875, 'rest': 0.0}
    """
    home = {stage: group for group, members in GROUPS.items() for stage in members}
    sums = dict.fromkeys(GROUPS, 0.0)
    for stage, value in stages.items():
        sums[home.get(stage, "draft")] += value
    return sums


def members(group: str, stages: Mapping[str, float]) -> list[tuple[str, float]]:
    """The stages that ``grouped`` put into ``group``, largest first, with readable names."""
    home = {stage: name for name, parts in GROUPS.items() for stage in parts}
    inside = [
        (stage, value) for stage, value in stages.items() if home.get(stage, "draft") == group
    ]
    inside.sort(key=lambda item: -abs(item[1]))
    return [(STAGE_LABELS.get(stage, stage), value) for stage, value in inside]
