"""What do the numbers say, in words? Formatting and sentences, nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from measurements import Machine, ModelInfo, Sampling, SettingRow, ValidationRecord
from simulator import Prediction


def times(value: float) -> str:
    """A speedup.

    Examples
    --------
    >>> times(1.934)
    '1.93×'
    """
    return f"{value:.2f}×"


def span(low: float, high: float) -> str:
    """An interval of speedups.

    Examples
    --------
    >>> span(1.8, 2.13)
    '1.80–2.13×'
    """
    return f"{low:.2f}–{high:.2f}×"


def percent(share: float, digits: int = 1) -> str:
    """A share or a relative error.

    Examples
    --------
    >>> percent(-0.0123).replace(chr(160), " ")
    '−1.2 %'
    """
    return f"{100 * share:.{digits}f}\xa0%".replace("-", "−")


def drafts(setting: SettingRow | Prediction) -> int:
    """γ of a measured or predicted setting, or the nodes of its tree. [tokens]"""
    if isinstance(setting, Prediction):
        return setting.num_draft_tokens
    given = setting.parameters
    return int(given.get("num_draft_tokens", given.get("nodes", 0)))


def method_name(method: str, parameters: Mapping[str, int | float | str]) -> str:
    """A method and its parameters in one short line.

    Examples
    --------
    >>> method_name("chain", {"num_draft_tokens": 4, "rule": "block"})
    'chain γ 4, rule block'
    >>> method_name("tree", {"nodes": 20, "tree": "4-2-1"})
    'tree 4-2-1, nodes 20'
    """
    first = ("num_draft_tokens", "tree")
    ordered = sorted(parameters.items(), key=lambda item: item[0] not in first)
    values = ", ".join(f"{key} {value}" for key, value in ordered)
    return (
        f"{method} {values}".replace("num_draft_tokens", "γ").replace("tree tree", "tree").strip()
    )


def is_plain_chain(setting: SettingRow) -> bool:
    """Whether γ says it all."""
    return setting.method == "chain" and setting.parameters.keys() == {"num_draft_tokens"}


def plain_chains(settings: Iterable[SettingRow]) -> list[SettingRow]:
    """Those that belong on an axis of γ."""
    return [row for row in settings if is_plain_chain(row)]


def setting_axis(settings: Sequence[SettingRow]) -> str:
    """Title of an axis of ``name_in``."""
    plain = all(is_plain_chain(row) for row in settings)
    return "draft tokens per round γ" if plain else "setting"


def short_name(setting: SettingRow) -> str:
    """γ of a plain chain, else method and parameters."""
    if is_plain_chain(setting):
        return str(drafts(setting))
    return method_name(setting.method, setting.parameters)


def name_in(settings: Sequence[SettingRow], setting: SettingRow) -> str:
    """A setting on an axis: γ says it where all of them are plain chains."""
    plain = all(is_plain_chain(row) for row in settings)
    return short_name(setting) if plain else method_name(setting.method, setting.parameters)


def moment(created: str) -> str:
    """A record's time.

    Examples
    --------
    >>> moment("2026-01-02T04:05:06+00:00")
    '2026-01-02 04:05 UTC'
    """
    return f"{datetime.fromisoformat(created):%Y-%m-%d %H:%M} UTC"


def when(created: str) -> str:
    """A record's time, to choose it by: two options must never read alike.

    Examples
    --------
    >>> when("2026-01-02T04:05:06+00:00")
    '2026-01-02 04:05:06'
    """
    return created[:19].replace("T", " ")


def sampling_name(sampling: Sampling) -> str:
    """A sampling as a reader writes it.

    Examples
    --------
    >>> sampling_name(Sampling(temperature=0.7, top_k=50)).replace(chr(160), " ")
    'T = 0.7, top-k 50'
    """
    parts = [f"T\xa0=\xa0{sampling.temperature:g}"]
    if sampling.top_k is not None:
        parts.append(f"top-k {sampling.top_k}")
    if sampling.top_p is not None:
        parts.append(f"top-p {sampling.top_p:g}")
    return ", ".join(parts)


def gamma(number: object) -> str:
    """A number of draft tokens as a symbol, never broken across lines.

    Examples
    --------
    >>> gamma(4).replace(chr(160), " ")
    'γ = 4'
    """
    return f"γ\xa0=\xa0{number}"


def setting_name(setting: SettingRow) -> str:
    """Sampling and number of draft tokens of a decoded setting."""
    plain = is_plain_chain(setting)
    what = gamma(drafts(setting)) if plain else method_name(setting.method, setting.parameters)
    return f"{sampling_name(setting.sampling)}, {what}"


def token_count(number: int) -> str:
    """A number of draft tokens.

    Examples
    --------
    >>> token_count(1), token_count(4)
    ('1 draft token', '4 draft tokens')
    """
    return f"{number} draft token" + ("" if number == 1 else "s")


def listing(items: Iterable[object]) -> str:
    """A list in a sentence.

    Examples
    --------
    >>> listing([3, 4, 6])
    '3, 4 and 6'
    """
    words = [str(item) for item in items]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def whole_numbers(numbers: Iterable[int]) -> str:
    """Ascending whole numbers in a sentence, three or more in a row as a span.

    Examples
    --------
    >>> whole_numbers([2, 4, 5, 6, 7]), whole_numbers([1, 2])
    ('2 and 4 to 7', '1 and 2')
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    parts = [
        part
        for run in runs
        for part in ([f"{run[0]} to {run[-1]}"] if len(run) > 2 else map(str, run))
    ]
    return listing(parts)


def best_measured(settings: Sequence[SettingRow]) -> SettingRow:
    """The setting with the highest measured speedup."""
    return max(settings, key=lambda row: row.speedup.measured)


def by_sampling(settings: Iterable[SettingRow]) -> dict[str, list[SettingRow]]:
    """Settings by sampling label, in order of temperature."""
    groups: dict[str, list[SettingRow]] = {}
    for row in sorted(settings, key=lambda r: (r.temperature, r.method, drafts(r))):
        groups.setdefault(row.sampling.label, []).append(row)
    return groups


def measured_verdict(record: ValidationRecord) -> str:
    """Does it pay? One sentence from the best measured setting at every sampling."""
    best = [best_measured(rows) for rows in by_sampling(record.settings).values()]
    parts = [
        f"**{times(row.speedup.measured)}**"
        f" (90\xa0%: {span(row.speedup.measured_low, row.speedup.measured_high)})"
        f" at {sampling_name(row.sampling)} with {_means(row)}"
        for row in best
    ]
    return f"{_opening([(r.speedup.measured_low, r.speedup.measured_high) for r in best])}: " + (
        f"measured {listing(parts)}."
    )


def _means(row: SettingRow) -> str:
    plain = is_plain_chain(row)
    return token_count(drafts(row)) if plain else method_name(row.method, row.parameters)


def predicted_verdict(best: Mapping[str, tuple[Sampling, Prediction]]) -> str:
    """The same from predictions alone, for a pair that was not decoded yet."""
    parts = [
        f"**{times(one.speedup.L2)}**{_interval(one)} at {sampling_name(sampling)}"
        f" with {token_count(one.num_draft_tokens)}"
        for sampling, one in best.values()
    ]
    spans = [
        (one.speedup_low or one.speedup.L2, one.speedup_high or one.speedup.L2)
        for _, one in best.values()
    ]
    return f"{_opening(spans)}: predicted {listing(parts)}, not yet checked by decoding."


def trust_verdict(record: ValidationRecord) -> str:
    """How far off were the predictions? One sentence."""
    summary, number = record.summary, len(record.settings)
    side = "too high" if summary.bias > 0 else "too low"
    inside = round(summary.coverage_90 * number)
    return (
        f"The predicted speedup misses the measured one by **{percent(summary.median_abs_error)}**"
        f" (median of {number} settings; {percent(summary.max_abs_error)} at worst). On average it"
        f" is {percent(abs(summary.bias))} {side}, and {inside} of {number} measurements lie"
        " inside the predicted 90\xa0% interval."
    )


def origin(shares: Mapping[str, float]) -> str:
    """Where predicted costs come from.

    Examples
    --------
    >>> origin({"measured": 0.9, "interpolated": 0.1}).replace(chr(160), " ")
    '90 % measured, 10 % interpolated'
    >>> origin({"measured": 0.998, "assumed": 0.002}).replace(chr(160), " ")
    '100 % measured, <1 % assumed'
    """
    parts = sorted(shares.items(), key=lambda item: -item[1])
    shown = [(percent(share, 0) if share >= 0.005 else "<1\xa0%", name)
             for name, share in parts if share > 0]  # fmt: skip
    return ", ".join(f"{share} {name}" for share, name in shown)


def parameters(number: float) -> str:
    """A number of weights.

    Examples
    --------
    >>> parameters(1.236e9).replace(chr(160), " "), parameters(5.2e6).replace(chr(160), " ")
    ('1.24 billion', '5.2 million')
    """
    scale, name = (1e9, "billion") if number >= 1e9 else (1e6, "million")
    return f"{number / scale:.3g}\xa0{name}"


def machine_facts(machine: Machine, dtype: str) -> list[tuple[str, str]]:
    """The machine as label and value pairs."""
    facts = [
        ("Processor", f"{machine.cpu}, {machine.cores} cores, {machine.threads} threads"),
        ("Memory", f"{machine.memory_bytes / 2**30:.0f} GiB"),
    ]
    if machine.accelerator:
        driver = f" (driver {machine.driver})" if machine.driver else ""
        facts.insert(0, ("Accelerator", machine.accelerator + driver))
    return [
        *facts,
        ("Arithmetic", f"{dtype} on {machine.device}"),
        ("Software", f"torch {machine.torch}, transformers {machine.transformers}"),
        ("System", f"{machine.os}, Python {machine.python}"),
    ]


def plain(text: str) -> str:
    """Text from a record, with Markdown's marks disarmed."""
    return "".join(f"\\{char}" if char in r"\`*_{}[]()#+!|<>$~:" else char for char in text)


def model_facts(model: ModelInfo) -> str:
    """A model in one line."""
    return (
        f"{model.name}: {model.num_parameters / 1e6:.3g} M parameters,"
        f" {model.num_layers} × {model.hidden_size} {model.family}, {model.forward} forward,"
        f" {model.weight_bytes / 1e6:.3g} MB of weights"
    )


def foretold(record: ValidationRecord) -> str:
    """What had been predicted for the settings of ``measured_verdict``."""
    best = [best_measured(rows) for rows in by_sampling(record.settings).values()]
    return f"Predicted: {listing(times(row.speedup.L2) for row in best)}."


def _interval(one: Prediction) -> str:
    if one.speedup_low is None or one.speedup_high is None:
        return ""
    return f" (90\xa0%: {span(one.speedup_low, one.speedup_high)})"


def _opening(spans: Sequence[tuple[float, float]]) -> str:
    if all(low > 1 for low, _ in spans):
        return "Yes, speculation pays here"
    if all(high < 1 for _, high in spans):
        return "No, speculation costs time here"
    if any(low > 1 for low, _ in spans):
        return "In part, speculation pays here"
    return "Undecided, the interval includes no gain"
