"""What a study decodes, and what its decodes say of a setting. Shared by the subjects."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from app.pair import PairOptions
from app.terminal import ShowStep
from measurements import canonical_parameters

if TYPE_CHECKING:
    from engine.model import Model
    from engine.prompts import Prompts
    from profiler.methods import Method
    from profiler.run import ProfilePlan
    from profiler.runs import Run

QUICK_PROMPTS, QUICK_TOKENS = 10, 96
FULL_TOKENS = 128
Loaded = TypeVar("Loaded")


@dataclass(frozen=True)
class Bench:
    """Models, prompts and plan of a study."""

    target: Model
    draft: Model
    prompts: Prompts
    encoded: list[list[int]]
    plan: ProfilePlan

    def header(self, pair: PairOptions) -> dict[str, Any]:
        """What ran where, on which text: the fields every record has."""
        from profiler.describe import header

        return header(
            "study", self.target, self.draft, self.prompts, self.encoded, pair.dtype,
            self.plan.new_tokens,
        )  # fmt: skip


def set_up(pair: PairOptions, quick: bool) -> Bench:
    """Load the pair; quick takes at most 10 prompts and 96 tokens, full 128 tokens."""
    from profiler.run import ProfilePlan, encode_checked

    prompts = pair.load_prompts()
    if quick:
        prompts = prompts.take(min(QUICK_PROMPTS, len(prompts.texts)))
    new_tokens = min(pair.new_tokens, QUICK_TOKENS if quick else FULL_TOKENS)
    target, draft = pair.load_pair()
    encoded = encode_checked(target, draft, prompts, new_tokens)
    return Bench(
        target, draft, prompts, encoded, ProfilePlan(pair.samplings(), new_tokens, pair.seed)
    )


def load_drafter(
    load: Callable[[str, Model], Loaded],
    target: Model,
    sources: Sequence[str],
    kind: str,
    given: str | None,
) -> tuple[Loaded, str]:
    """The drafter from the first of ``sources`` that fits the target, and that source.

    Parameters
    ----------
    load : callable
        Of a source and the target; raises InputError.
    target : Model
    sources : sequence of str
        Zoo name first, then where ``speculens train`` puts it.
    kind : str
        As ``speculens train`` calls it.
    given : str or None
        The option ``--target``.

    Raises
    ------
    InputError
        If none fits: says which command makes one, and where it is looked for.
    """
    from engine.errors import InputError

    for source in sources:
        try:
            return load(source, target), source
        except InputError as error:
            reason = error
    name = given or target.name
    raise InputError(
        f"no {kind} drafter for {target.name}: `speculens train {kind} --target {name} "
        f"--minutes 20` makes one in {sources[-1]} ({reason})"
    )


def card(source: str, name: str = "training.json") -> dict[str, Any]:
    """What a zoo model or a folder says of its training; empty where it says nothing."""
    from engine.model import ZOO

    for folder in (ZOO / source, Path(source).expanduser()):
        if (folder / name).is_file():
            found: dict[str, Any] = json.loads((folder / name).read_text(encoding="utf-8"))
            return found
    return {}


def decode(
    bench: Bench,
    methods: Sequence[Method],
    log: Path,
    show: ShowStep,
    more: Mapping[str, Any] | None = None,
) -> list[Run]:
    """Decode with every method, interleaved; what ``log`` holds already is not decoded again.

    ``more`` is JSON-ready and tells decodes apart beyond pair, prompts, plan and methods.
    """
    from profiler.describe import model_info, prompt_set
    from profiler.machine import fingerprint
    from profiler.measure import measure
    from profiler.run_log import RunLog

    plan = bench.plan
    identity = {
        "machine": fingerprint(bench.target.device).model_dump(mode="json"),
        "target": model_info(bench.target).model_dump(mode="json"),
        "draft": model_info(bench.draft).model_dump(mode="json"),
        "dtype": str(bench.target.dtype),
        "prompts": prompt_set(bench.prompts, bench.encoded).model_dump(mode="json"),
        "new_tokens": plan.new_tokens,
        "seed": plan.seed,
        "samplings": [s.label for s in plan.samplings],
        "methods": [f"{m.name} {canonical_parameters(m.parameters)}" for m in methods],
        **(more or {}),
    }
    return measure(
        bench.target, bench.encoded, plan, methods, log=RunLog(log, identity),
        report=lambda s: show(s.what, s.done, s.total),
    )  # fmt: skip


def alone(runs: Iterable[Run], sampling: str) -> list[Run]:
    """Autoregressive decodes at a sampling."""
    return [r for r in runs if r.method.drafter is None and r.sampling.label == sampling]


def of_method(runs: Iterable[Run], sampling: str, method: Method) -> list[Run]:
    """Decodes of one method with its parameters at a sampling."""
    return [r for r in runs if r.sampling.label == sampling and _same(r.method, method)]


def same_texts(mine: Sequence[Run], plain: Sequence[Run]) -> float | None:
    """Share of texts equal to the autoregressive ones at temperature 0; None above it."""
    if not mine[0].sampling.greedy:
        return None
    return sum(a.tokens == b.tokens for a, b in zip(mine, plain, strict=True)) / len(mine)


def parted_texts(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A sentence, if texts at temperature 0 are not those of autoregressive decoding."""
    shares = [r["same_texts"] for r in rows if r["same_texts"] is not None and r.get("lossless", 1)]
    if shares and min(shares) < 1:
        yield (
            f"At temperature 0 at least {100 * min(shares):.0f} % of a lossless setting's "
            "texts equal the autoregressive ones: near-ties between two tokens fall "
            "either way in forwards of other widths, and a text that parts may be harder or easier "
            "to draft. In float32 (--dtype float32) texts do not part."
        )


def fastest(rows: Iterable[dict[str, Any]], **fields: object) -> dict[str, Any]:
    """The row with the largest speedup among those with these fields.

    Examples
    --------
    >>> rows = [{"a": 1, "speedup": 2.0}, {"a": 2, "speedup": 3.0}]
    >>> fastest(rows, a=1)["speedup"]
    2.0
    """
    return max(chosen(rows, **fields), key=lambda row: row["speedup"])


def chosen(rows: Iterable[dict[str, Any]], **fields: object) -> list[dict[str, Any]]:
    """The rows with these fields."""
    return [row for row in rows if all(row[k] == value for k, value in fields.items())]


def _same(one: Method, other: Method) -> bool:
    return one.name == other.name and dict(one.parameters) == dict(other.parameters)
