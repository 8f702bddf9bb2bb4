"""Into which units is a profile cut, in which order, and which are done already?"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from engine.sampling import Sampling
from measurements import canonical_parameters
from profiler.methods import AUTOREGRESSIVE, Method
from profiler.stages import StagePlan


@dataclass(frozen=True)
class Block:
    """One block of stage times to take."""

    sampling: Sampling
    context: int
    index: int
    warms_up: bool

    what = "stage times"


@dataclass(frozen=True)
class Trace:
    """One prompt to trace."""

    sampling: Sampling
    prompt: int

    @property
    def what(self) -> str:
        """For the progress bar."""
        return f"acceptance trace {self.sampling.label}"


@dataclass(frozen=True)
class MethodBlock:
    """One block of rounds of every method to time."""

    sampling: Sampling
    context: int
    index: int

    what = "rounds of every method"


@dataclass(frozen=True)
class MethodTrace:
    """One prompt along which every method is asked what it would keep."""

    sampling: Sampling
    prompt: int

    @property
    def what(self) -> str:
        """For the progress bar."""
        return f"windows of every method {self.sampling.label}"


Job = Block | Trace | MethodBlock | MethodTrace


def all_jobs(
    samplings: Sequence[Sampling],
    modes: Sequence[Sampling],
    stages: StagePlan,
    num_prompts: int,
    method_blocks: int,
) -> list[Job]:
    """All work in measuring order.

    Blocks are spread evenly between the traces, so that both see the machine
    of all the minutes a profile takes; warm-up blocks come first.

    Parameters
    ----------
    samplings, modes : sequence of Sampling
        What is traced, and what is timed.
    stages : StagePlan
    num_prompts : int
    method_blocks : int
        Blocks of method rounds per context and mode; 0 profiles the chain alone.
    """
    blocks = [
        Block(sampling, context, index, warms_up=block == 0)
        for index, (context, block) in enumerate(stages.block_keys())
        for sampling in modes
    ]
    traces = [Trace(sampling, prompt) for prompt in range(num_prompts) for sampling in samplings]
    groups: list[Sequence[Job]] = [[b for b in blocks if not b.warms_up], traces]
    if method_blocks > 0:
        contexts = stages.contexts * method_blocks
        groups += [
            [MethodTrace(trace.sampling, trace.prompt) for trace in traces],
            [MethodBlock(s, context, i) for i, context in enumerate(contexts) for s in modes],
        ]
    placed = [((k + 0.5) / len(group), job) for group in groups for k, job in enumerate(group)]
    spread = [job for _, job in sorted(placed, key=lambda item: item[0])]
    return [*(block for block in blocks if block.warms_up), *spread]


@dataclass(frozen=True)
class Done:
    """What an earlier run left, by the tables it left it in."""

    blocks: set[tuple[str, int]]
    traces: set[tuple[str, int]]
    windows: set[tuple[str, int, str, str]]
    rounds: set[tuple[str, int, str, str]]

    @classmethod
    def in_tables(
        cls,
        stages: Sequence[pd.DataFrame],
        traces: dict[str, list[pd.DataFrame]],
        windows: Sequence[pd.DataFrame],
        rounds: Sequence[pd.DataFrame],
    ) -> "Done":
        """Read it off; the index of a block of stage times stands in the column ``repeat``."""
        return cls(
            {key for f in stages for key in _keys(f, "mode", "repeat")},
            {(label, *key) for label, v in traces.items() for f in v for key in _keys(f, "prompt")},
            {key for f in windows for key in _keys(f, "sampling", "prompt", *_METHOD)},
            {key for f in rounds for key in _keys(f, "mode", "block", *_METHOD)},
        )

    def __contains__(self, job: Block | Trace) -> bool:
        if isinstance(job, Trace):
            return (job.sampling.label, job.prompt) in self.traces
        return (job.sampling.mode, job.index) in self.blocks

    def missing(self, job: MethodBlock | MethodTrace, methods: Sequence[Method]) -> list[Method]:
        """Methods that a job has yet to measure; rounds are timed without a draft as well."""
        wanted = [method for method in methods if method != AUTOREGRESSIVE]
        if isinstance(job, MethodTrace):
            there, key = self.windows, (job.sampling.label, job.prompt)
        else:
            there, key = self.rounds, (job.sampling.mode, job.index)
            wanted = [AUTOREGRESSIVE, *wanted]
        return [
            method
            for method in wanted
            if (*key, method.name, canonical_parameters(method.parameters)) not in there
        ]


_METHOD = ("method", "parameters")


def _keys(frame: pd.DataFrame, *columns: str) -> list[tuple]:
    """The distinct values of some columns."""
    return list(frame[list(columns)].drop_duplicates().itertuples(index=False, name=None))
