"""Where are decodes kept while a long measurement goes on, so that it survives interruption?

One line of JSON per group, a group being every method on one prompt: a group
cut short is measured again whole, because its decodes belong to the same
minutes. The first line says what the decodes are of.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from engine.sampling import Sampling
from measurements import canonical_parameters
from profiler.identified_log import append, open_log
from profiler.methods import Method
from profiler.runs import Calls, Run

GroupKey = tuple[int, int, str]
"""(repeat, prompt, label of the sampling)."""


@dataclass(frozen=True)
class Group:
    """The decodes of one prompt, and what was timed right behind them."""

    runs: list[dict[str, Any]]
    between: list[dict[str, Any]]


class RunLog:
    """Decodes on disk as they are made.

    Parameters
    ----------
    path : Path
        Created with its folder; an existing one is continued.
    identity : mapping
        What the decodes are of, JSON-ready: machine, models, prompts, settings.

    Raises
    ------
    InputError
        If the file is of something else (names the first field that differs), or is no run log.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self.path = path
        self._groups: dict[GroupKey, Group] = {}
        open_log(path, identity, "decodes", self._keep)

    def _keep(self, line: dict[str, Any]) -> None:
        key = (line["repeat"], line["prompt"], line["sampling"])
        self._groups[key] = Group(line["runs"], line["between"])

    def __contains__(self, key: GroupKey) -> bool:
        return key in self._groups

    def count(self, sampling: str) -> int:
        """Groups of a sampling, by its label."""
        return sum(label == sampling for _, _, label in self._groups)

    def runs(
        self, key: GroupKey, methods: Sequence[Method], samplings: Sequence[Sampling]
    ) -> list[Run]:
        """The decodes of a group, in the order they were made."""
        by_setting = {(m.name, canonical_parameters(m.parameters)): m for m in methods}
        by_label = {s.label: s for s in samplings}
        made = []
        for fields in self._groups[key].runs:
            method = by_setting[fields["method"], fields["parameters"]]
            kept = {k: v for k, v in fields.items() if k not in ("method", "parameters")}
            kept["tokens"], kept["provenance"] = tuple(kept["tokens"]), tuple(kept["provenance"])
            kept["calls"] = tuple(Calls(*call) for call in kept.get("calls", ()))
            made.append(Run(**{**kept, "method": method, "sampling": by_label[kept["sampling"]]}))
        return made

    def add(self, key: GroupKey, runs: Sequence[Run], between: pd.DataFrame | None) -> None:
        """Keep a group."""
        rows = [] if between is None else between.to_dict("records")
        group = Group([_fields(run) for run in runs], rows)  # type: ignore[arg-type]
        repeat, prompt, sampling = key
        where = {"repeat": repeat, "prompt": prompt, "sampling": sampling}
        append(self.path, {**where, **asdict(group)})
        self._groups[key] = group

    def between(self) -> pd.DataFrame:
        """Everything that was timed between the groups."""
        return pd.DataFrame([row for group in self._groups.values() for row in group.between])


def _fields(run: Run) -> dict[str, Any]:
    fields = {name: getattr(run, name) for name in Run.__dataclass_fields__}
    return {
        **fields,
        "method": run.method.name,
        "parameters": canonical_parameters(run.method.parameters),
        "sampling": run.sampling.label,
    }
