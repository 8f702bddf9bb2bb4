"""What did a server count between two readings of its metrics page?

The Prometheus text format: one sample per line, counters that only grow. A
rate is the difference of two readings; a single reading says what happened
since the server started, its warm-up included.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from measurements.engines.reading import read_text
from measurements.files import RecordError

_SAMPLE = re.compile(r"([A-Za-z_:][A-Za-z0-9_:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?")
_LABEL = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"')
Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Metrics:
    """Samples of one reading, or what was counted between two.

    Attributes
    ----------
    path : Path
        The later file.
    samples : dict of (str, Labels) to float
    """

    path: Path
    samples: dict[tuple[str, Labels], float]

    def total(self, name: str) -> float | None:
        """Sum over all series of a name, a counter with or without its ``_total``."""
        plain = name.removesuffix("_total")
        found = [v for (n, _), v in self.samples.items() if n in (plain, plain + "_total")]
        return sum(found) if found else None

    def needed(self, name: str) -> float:
        """The same, refused if the page lacks it."""
        value = self.total(name)
        if value is None:
            raise RecordError(self.path, f"lacks the metric '{name}'")
        return value

    def by_label(self, name: str, label: str) -> dict[str, float]:
        """Sums over the series of a name by the value of one label."""
        plain, found = name.removesuffix("_total"), dict[str, float]()
        for (n, labels), value in self.samples.items():
            if n in (plain, plain + "_total") and label in dict(labels):
                key = dict(labels)[label]
                found[key] = found.get(key, 0.0) + value
        return found

    def mean(self, histogram: str) -> float | None:
        """Mean of a histogram's observations; None if it has none."""
        total, number = self.total(histogram + "_sum"), self.total(histogram + "_count")
        return total / number if total is not None and number else None

    def model(self) -> str | None:
        """The one model the samples are about, refused if there are several."""
        names = {dict(labels).get("model_name") for _, labels in self.samples} - {None}
        if len(names) > 1:
            raise RecordError(
                self.path,
                f"holds {len(names)} models, {', '.join(sorted(map(str, names)))}:"
                " keep the lines of one",
            )
        return names.pop() if names else None


def read_metrics(path: Path, prefix: str) -> Metrics:
    """The samples of one reading whose names start with a prefix.

    Raises
    ------
    RecordError
        If a line is no sample, the file is cut, or no name has the prefix.
    """
    return parse_metrics(read_text(path), path, prefix)


def parse_metrics(text: str, path: Path, prefix: str) -> Metrics:
    """The same of a page that is no file yet; ``path`` says where it is from.

    Raises
    ------
    RecordError
        As ``read_metrics``.
    """
    samples = dict[tuple[str, Labels], float]()
    if not text.endswith("\n"):
        raise RecordError(path, "is truncated: its last line has no end")
    for place, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        parsed = _SAMPLE.fullmatch(line.strip())
        value = _value(parsed[3]) if parsed else None
        if parsed is None or value is None:
            raise RecordError(path, f"line {place} is no Prometheus sample: {line[:60]!r}")
        if parsed[1].startswith(prefix) and not parsed[1].endswith(("_created", "_bucket")):
            samples[parsed[1], tuple(sorted(_LABEL.findall(parsed[2] or "")))] = value
    if not samples:
        raise RecordError(path, f"holds no metric whose name starts with '{prefix}'")
    return Metrics(path, samples)


def between(before: Metrics, after: Metrics, counters: tuple[str, ...]) -> Metrics:
    """What was counted between two readings.

    Parameters
    ----------
    before, after : Metrics
    counters : tuple of str
        Starts of the names that count up; other samples are left out.

    Raises
    ------
    RecordError
        If a counter fell or a series vanished: a restart, or files in the wrong order.
    """
    kept: dict[tuple[str, Labels], float] = {}
    for key, late in after.samples.items():
        if key[0].startswith(counters):
            kept[key] = late - before.samples.get(key, 0.0)
    for key, early in before.samples.items():
        if key[0].startswith(counters) and kept.get(key, -early if early else 0.0) < 0:
            late_text = f"{after.samples[key]:g}" if key in after.samples else "nothing"
            raise RecordError(
                after.path,
                f"'{key[0]}' fell from {early:g} to {late_text} since {before.path.name}:"
                " the server restarted, or the files are in the wrong order (before, after)",
            )
    return Metrics(after.path, kept)


def _value(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return None if math.isnan(value) and text.lower() != "nan" else value
