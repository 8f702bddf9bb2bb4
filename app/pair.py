"""From command-line options to a loaded pair, its prompts and a plan.

The engine and the profiler are imported here, inside the functions, so that
the dashboard and ``--help`` work without torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.model import Model
    from engine.prompts import Prompts
    from engine.sampling import Sampling

DEFAULT_NUM_PROMPTS = 28
DEFAULT_TEMPERATURES = (0.0, 1.0)


@dataclass(frozen=True)
class PairOptions:
    """The options that every command which decodes has in common.

    Attributes
    ----------
    target, draft : str or None
        Zoo name, folder or hub id; None is the embedded model.
    device, dtype, forward : str
    prompts : Path or None
        JSONL file; None cuts prompts from held-out library modules.
    num_prompts : int or None
        The first so many; None takes all of a file and 28 of the embedded ones.
    temperatures : tuple of float
    top_k, top_p
        Apply to every temperature above 0.
    new_tokens, seed : int
    ngram : str or None
        Zoo name or folder of an n-gram counted for the draft; None is the embedded draft's.
    """

    target: str | None = None
    draft: str | None = None
    device: str = "auto"
    dtype: str = "bfloat16"
    forward: str = "auto"
    prompts: Path | None = None
    num_prompts: int | None = None
    temperatures: tuple[float, ...] = field(default=DEFAULT_TEMPERATURES)
    top_k: int | None = None
    top_p: float | None = None
    new_tokens: int = 128
    seed: int = 0
    ngram: str | None = None

    def samplings(self) -> tuple[Sampling, ...]:
        """One sampling per temperature; warps are of no use at temperature 0."""
        from engine.sampling import Sampling

        chosen = [
            Sampling(t, self.top_k, self.top_p) if t > 0 else Sampling(t)
            for t in dict.fromkeys(self.temperatures)
        ]
        Sampling(1.0, self.top_k, self.top_p)  # refuse bad warps even at temperature 0
        return tuple(chosen)

    def load_prompts(self) -> Prompts:
        """The prompt texts."""
        from engine.prompts import held_out_prompts, read_prompts

        if self.prompts is not None:
            return read_prompts(self.prompts).take(self.num_prompts)
        return held_out_prompts().take(self.num_prompts or DEFAULT_NUM_PROMPTS)

    def load_pair(self) -> tuple[Model, Model]:
        """Target and draft on the device, checked against one another."""
        from huggingface_hub.utils import logging as hub_logging
        from transformers.utils import logging as transformers_logging

        from engine.errors import InputError
        from engine.model import DEFAULT_DRAFT, DEFAULT_TARGET, load_model
        from profiler.run import check_pair

        if (self.target is None) != (self.draft is None):
            raise InputError("--target and --draft go together: give both or neither")
        kinds = ("auto", "lean", "graphs", "transformers")
        if self.forward not in kinds:
            raise InputError(f"forward must be one of {', '.join(kinds)}, not '{self.forward}'")
        transformers_logging.set_verbosity_error()
        hub_logging.set_verbosity_error()  # without network it would tell of every retry
        transformers_logging.disable_progress_bar()
        names = (self.target or DEFAULT_TARGET, self.draft or DEFAULT_DRAFT)
        target, draft = (
            load_model(
                name,
                device=self.device,
                dtype=self.dtype,
                forward=self.forward,  # type: ignore[arg-type]
            )
            for name in names
        )
        check_pair(target, draft)
        return target, draft
