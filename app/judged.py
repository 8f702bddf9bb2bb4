"""Which settings were foretold and decoded, and which of them does a reader look at?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.comparison import engine_of
from app.words import setting_name
from measurements import SettingRow, ValidationRecord


@dataclass(frozen=True)
class Judged:
    """One decoded setting of a record.

    Attributes
    ----------
    key : str
        As it stands in an address; no two settings shown together share it.
    row : SettingRow
    record : ValidationRecord
    title : str
        One line to choose it by.
    """

    key: str
    row: SettingRow
    record: ValidationRecord
    title: str


def judged(records: Sequence[ValidationRecord]) -> list[Judged]:
    """Every setting of these records; of several, a name says of which prompts it is."""
    found = []
    for record in records:
        suffix = f"@{record.id[-6:]}" if len(records) > 1 else ""
        where = f", {record.prompts.name}" if len(records) > 1 else ""
        found += [
            Judged(setting_key(row) + suffix, row, record, setting_name(row) + where)
            for row in record.settings
        ]
    return found


def setting_key(row: SettingRow) -> str:
    """Sampling, method and parameters; of plain chains, sampling and γ.

    A link made before methods had parameters other than γ still finds its setting.
    """
    parameters = row.parameters
    if row.method == "chain" and parameters.keys() == {"num_draft_tokens"}:
        return f"{row.sampling.label}-g{parameters['num_draft_tokens']}"
    values = ",".join(f"{name}:{parameters[name]}" for name in sorted(parameters))
    return f"{row.sampling.label}-{row.method}-{values}"


def campaign_of(
    record: ValidationRecord, known: Iterable[ValidationRecord]
) -> list[ValidationRecord]:
    """The records to be read together with this one, which comes first.

    Of the same pair, machine and dtype, and like it decoded on prompts that were not profiled;
    the newest of every prompt set and sampling. Alone where it was judged on profiled prompts.
    """
    if record.same_prompts_as_profile:
        return [record]
    found, seen = [record], {_part(record)}
    for other in sorted(known, key=lambda one: one.created, reverse=True):
        alike = _pair(other) == _pair(record) and not other.same_prompts_as_profile
        if alike and _part(other) not in seen:
            found.append(other)
            seen.add(_part(other))
    return found


def _pair(record: ValidationRecord) -> tuple[str, str, str, str]:
    return record.machine.slug, record.pair_slug, record.dtype, engine_of(record.settings)


def _part(record: ValidationRecord) -> tuple[str, frozenset[str]]:
    return record.prompts.sha256, frozenset(row.sampling.label for row in record.settings)
