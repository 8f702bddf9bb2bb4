"""From decodes to the tables of the staged study. Counts, sums and ratios only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.studies.decoding import Decoded
from app.studies.forwards import forwards_cost
from app.studies.staging import gain, number_of_calls, staging_row
from app.words import method_name
from measurements import Ceilings
from measurements.schema import Cell
from simulator.roofline import OperatorCost

if TYPE_CHECKING:
    from engine.sampling import Sampling
    from profiler.methods import Method
    from profiler.runs import Run

Rows = list[dict[str, Cell]]

BANDWIDTH = "Table 1: relative memory bandwidth per token"
SPEED = "Table 2: tokens per second"
SETTINGS = "every setting"
SPLIT = "time split per token"
STAGING = "what staging saves and costs, same chain with and without"
BY_COST = "predicted gain of staging by cost ratio"
ROOFLINE = "Figure 1: stages under the roof"
CEILINGS = "Figure 1: ceilings of this machine"
PROBLEMS = "Figure 2: tokens per second by problem"
PROVENANCE = "Figure 3: who made the tokens"
TEXT = "Figure 3: one text, token by token"

ROLES = ("baseline", "speculative", "staged")
NAMES = {True: "deterministic", False: "top-k"}

# arXiv:2308.04623, read 2026-11; ratios of the rounded speeds where the paper prints none
PUBLISHED: dict[str, Rows] = {
    BANDWIDTH: [
        {"sampling": "deterministic", "baseline": 1.0, "speculative": 0.31, "staged": 0.23},
        {"sampling": "top-k", "baseline": 1.0, "speculative": 0.48, "staged": 0.35},
    ],
    SPEED: [
        {"sampling": "deterministic", "baseline": 150.0, "speculative": 350.0, "staged": 475.0,
         "speculative/baseline": 2.33, "staged/baseline": 3.16, "staged/speculative": 1.36},
        {"sampling": "top-k", "baseline": 150.0, "speculative": 219.0, "staged": 298.0,
         "speculative/baseline": 1.46, "staged/baseline": 1.98, "staged/speculative": 1.36},
    ],
}  # fmt: skip
COST_RATIOS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
PAPER_LOWER = ("ngram-T1.5", "ngram")


def build(decoded: Decoded, methods: Sequence[Method], ceilings: Ceilings) -> dict[str, Rows]:
    """All tables by title.

    Parameters
    ----------
    decoded : Decoded
    methods : sequence of Method
        Chains, trees and staged ones; autoregressive decoding is always there.
    ceilings : Ceilings
        Of this machine.
    """
    tables: dict[str, Rows] = {
        title: []
        for title in (
            BANDWIDTH, SPEED, SETTINGS, SPLIT, STAGING, BY_COST, ROOFLINE, CEILINGS, PROBLEMS,
            PROVENANCE, TEXT,
        )
    }  # fmt: skip
    tables[CEILINGS] = [
        {
            "read_bandwidth_bytes_per_s": ceilings.median_read_bandwidth_bytes_per_s,
            "flop_per_s": ceilings.median_flop_per_s,
        }
    ]
    for sampling in decoded.samplings:
        one = _OneSampling.of(decoded, sampling, methods)
        one.fill(tables)
    return tables


@dataclass(frozen=True)
class _OneSampling:
    """Everything at one sampling, and which method is the best of its kind."""

    decoded: Decoded
    sampling: Sampling
    name: str
    rows: dict[Method, dict[str, Any]]
    best: dict[str, Method]

    @classmethod
    def of(cls, decoded: Decoded, sampling: Sampling, methods: Sequence[Method]) -> _OneSampling:
        from profiler.methods import AUTOREGRESSIVE
        from profiler.setting_row import setting_row

        alike = [run for run in decoded.runs if run.sampling == sampling]
        rows = {m: setting_row(decoded.of(sampling, m), alike) for m in (AUTOREGRESSIVE, *methods)}
        kinds = {
            "baseline": ("autoregressive",),
            "speculative": ("chain", "tree"),
            "staged": ("staged",),
        }
        best = {
            role: max((m for m in rows if m.name in names), key=lambda m: rows[m]["tokens_per_s"])
            for role, names in kinds.items()
        }
        return cls(decoded, sampling, NAMES[sampling.greedy], rows, best)

    def runs(self, method: Method) -> list[Run]:
        return self.decoded.of(self.sampling, method)

    def fill(self, tables: dict[str, Rows]) -> None:
        """Add this sampling's rows to every table."""
        tables[BANDWIDTH].append(
            {"sampling": self.name, **{r: self.bandwidth(self.best[r]) for r in ROLES}}
        )
        tables[SPEED].append(self.speed())
        tables[SETTINGS] += [self.setting(method) for method in self.rows]
        for role in ROLES:
            method = self.best[role]
            tables[SPLIT] += self.split(role, method)
            tables[PROVENANCE] += [
                {"sampling": self.name, "role": role, "level": level, "share": share}
                for level, share in sorted(self.rows[method]["provenance"].items())
            ]
        tables[STAGING] += (staging := self.staging())
        tables[BY_COST] += [row for one in staging[-1:] for row in self.by_cost(one)]
        tables[ROOFLINE] += self.roofline()
        tables[PROBLEMS] += self.problems()
        tables[TEXT] += self.text()

    def total(self, method: Method) -> OperatorCost:
        """Arithmetic and traffic of all decodes of a method, tables of n-grams left out."""
        calls = [call for run in self.runs(method) for call in run.calls]
        target = forwards_cost(self.decoded.target, [c for c in calls if c.stage == "target"])
        drafting = [c for c in calls if c.stage == "draft"]
        return target + forwards_cost(self.decoded.draft, drafting) if drafting else target

    def bandwidth(self, method: Method) -> float:
        """Bytes per emitted token over the baseline's."""
        return self._bytes_per_token(method) / self._bytes_per_token(self.best["baseline"])

    def _bytes_per_token(self, method: Method) -> float:
        return float(self.total(method).bytes) / sum(len(run.tokens) for run in self.runs(method))

    def speed(self) -> dict[str, Cell]:
        """A row of Table 2, ratios of totals with 90 % intervals over prompts."""
        from profiler.ratios import ratio_spread

        row: dict[str, Cell] = {"sampling": self.name}
        row |= {role: self.rows[self.best[role]]["tokens_per_s"] for role in ROLES}
        times = {
            role: [r.seconds / len(r.tokens) for r in self.runs(self.best[role])] for role in ROLES
        }
        for fast, slow in (
            ("speculative", "baseline"), ("staged", "baseline"), ("staged", "speculative"),
        ):  # fmt: skip
            spread, name = ratio_spread(times[slow], times[fast]), f"{fast}/{slow}"
            row |= {
                name: spread["median"],
                f"{name} low": spread["low"],
                f"{name} high": spread["high"],
            }
        return row

    def setting(self, method: Method) -> dict[str, Cell]:
        """What one method did."""
        runs, row = self.runs(method), self.rows[method]
        rounds = sum(run.num_rounds for run in runs)
        return {
            "sampling": self.name,
            "method": _short_name(method),
            "best": method in self.best.values(),
            "tok/s": row["tokens_per_s"],
            "speedup": row["speedup"]["median"],
            "low": row["speedup"]["low"],
            "high": row["speedup"]["high"],
            "tau": row["tau"],
            "calls": number_of_calls(runs, "draft") / rounds,
            "width": 1 + sum(run.num_drafted for run in runs) / rounds,
            "bytes": self.bandwidth(method),
        }

    def split(self, role: str, method: Method) -> Rows:
        """Where the time of a token goes."""
        per_token = 1 / self.rows[method]["tokens_per_s"]
        return [
            {"sampling": self.name, "role": role, "stage": stage, "share": share,
             "seconds_per_token": share * per_token}
            for stage, share in self.rows[method]["time_split"].items()
        ]  # fmt: skip

    def staging(self) -> Rows:
        """The same chain with and without the n-gram beneath the draft, measured and predicted."""
        chains = {m.num_draft_tokens: m for m in self.rows if m.name == "chain"}
        baseline = self.rows[self.best["baseline"]]["tokens_per_s"]
        found: Rows = []
        for method, row in self.rows.items():
            plain = chains.get(method.num_draft_tokens)
            if method.name == "staged" and method.rule == "rejection" and plain is not None:
                measured = row["tokens_per_s"] / self.rows[plain]["tokens_per_s"]
                found.append(
                    {
                        "sampling": self.name,
                        "γ": method.num_draft_tokens,
                        "lower": str(method.parameters["lower"]),
                        **staging_row(
                            self.runs(plain), self.runs(method), method.num_draft_tokens,
                            1 / baseline,
                        ),
                        "measured_gain": measured,
                    }
                )  # fmt: skip
        return sorted(found, key=lambda row: row["lower"] in PAPER_LOWER)

    def by_cost(self, row: dict[str, Cell]) -> Rows:
        """The gain at other cost ratios, all else as measured."""
        return [
            {"sampling": self.name, "γ": row["γ"], "cost_ratio": c,
             "predicted_gain": gain(row, c)}
            for c in COST_RATIOS
        ]  # fmt: skip

    def roofline(self) -> Rows:
        """Stages and rounds of the three: intensity from the traffic, rate from the clock."""
        found: Rows = []
        for role in ROLES:
            runs = self.runs(self.best[role])
            calls = [call for run in runs for call in run.calls]
            models = {"target": self.decoded.target, "draft": self.decoded.draft}
            for stage, model in models.items():
                mine = [call for call in calls if call.stage == stage]
                if mine:
                    spent = sum(run.stage_seconds[stage] for run in runs)
                    found.append(self._point(role, stage, forwards_cost(model, mine), spent))
            spent = sum(run.seconds for run in runs)
            found.append(self._point(role, "round", self.total(self.best[role]), spent))
        return found

    def _point(self, role: str, stage: str, cost: OperatorCost, spent: float) -> dict[str, Cell]:
        return {
            "sampling": self.name,
            "role": role,
            "stage": stage,
            "intensity_flop_per_byte": float(cost.intensity),
            "flop_per_s": float(cost.flop) / spent,
            "bytes_per_s": float(cost.bytes) / spent,
        }

    def problems(self) -> Rows:
        """Speed of the three on every prompt."""
        by_role = {role: self.runs(self.best[role]) for role in ROLES}
        return [
            {"sampling": self.name, "prompt": runs[0].prompt,
             **{role: len(r.tokens) / r.seconds for role, r in zip(ROLES, runs, strict=True)}}
            for runs in zip(*by_role.values(), strict=True)
        ]  # fmt: skip

    def text(self) -> Rows:
        """The text in which the n-gram made most different tokens: loops are no picture."""
        tokenizer = self.decoded.target.tokenizer
        if tokenizer is None:
            return []

        def low_level(run: Run) -> int:
            made = zip(run.tokens, run.provenance, strict=True)
            return len({token for token, level in made if level.startswith("ngram")})

        run = max(self.runs(self.best["staged"]), key=low_level)
        return [
            {"sampling": self.name, "prompt": run.prompt, "text": tokenizer.decode([token]),
             "level": level}
            for token, level in zip(run.tokens, run.provenance, strict=True)
        ]  # fmt: skip


def _short_name(method: Method) -> str:
    name = method_name(method.name, method.parameters)
    return name.replace("lower ", "").replace("grown, nodes", "of")
