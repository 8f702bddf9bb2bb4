"""Which rounds does a serving engine count, along texts whose drafts are known?

The rounds of a trace, ended and counted as an engine does. Knows nothing about time, nor about
any engine but how it counts.
"""

from dataclasses import dataclass

import numpy as np

from simulator.checks import FloatArray, one_count
from simulator.replay import replay_windows
from simulator.windows import Windows


@dataclass(frozen=True, eq=False)
class ServedRounds:
    """What an engine counts while it decodes texts of a given length.

    Attributes
    ----------
    steps : array [num_prompts]
        Steps of each text behind the prefill, those without drafts counted. [rounds]
    drafts : float
        Steps that verified drafts, of all texts. [rounds]
    drafted : float
        [tokens]
    accepted : array [num_draft_tokens]
        Drafts kept at each position of a round. [tokens]
    """

    steps: FloatArray
    drafts: float
    drafted: float
    accepted: FloatArray

    @property
    def tau(self) -> float:
        """Tokens per round as vLLM says it, over steps that drafted. [tokens/round]"""
        return 1.0 + float(self.accepted.sum()) / self.drafts if self.drafts else 1.0

    @property
    def survival(self) -> FloatArray:
        """Drafts kept at each position, per step that drafted. [unitless]"""
        return self.accepted / self.drafts if self.drafts else np.zeros_like(self.accepted)

    @property
    def drafted_per_step(self) -> float:
        """Over all steps. [tokens/round]"""
        return self.drafted / float(self.steps.sum())


def served_rounds(windows: Windows, num_draft_tokens: int, wanted: int) -> ServedRounds:
    """The rounds of an engine that stops when a text is long enough, wherever its round ends.

    Parameters
    ----------
    windows : Windows
        Along the texts behind their first token, which the prefill emits; longer than wanted.
    num_draft_tokens : int, >= 1
        As the engine drafts. [tokens]
    wanted : int, >= 1
        Tokens behind the first that each text is to have. [tokens]

    Returns
    -------
    ServedRounds

    Raises
    ------
    ValueError
        If a text is too short for a last round that runs over its end.

    Notes
    -----
    Equation (M13.1) in docs/model.md. vLLM drafts as much in its last round as in any other and
    counts what is kept beyond the text's end, where ``replay`` cuts both. Exact at temperature
    0, an expectation above.

    Examples
    --------
    >>> from simulator.chains import chain_windows
    >>> served = served_rounds(chain_windows([1, 1, 0, 1, 1, 1, 1, 1], [8], 2), 2, 5)
    >>> served.steps, served.accepted, served.tau
    (array([2.]), array([2., 2.]), 3.0)
    """
    most, end = one_count("num_draft_tokens", num_draft_tokens, 1), one_count("wanted", wanted, 1)
    lengths = windows.lengths
    if int(lengths.min()) < end + most:
        raise ValueError(
            f"texts must go on for {end + most} tokens behind their first,"
            f" not {int(lengths.min())}: {end} wanted and a round of {most} drafts over the end"
        )
    first = np.repeat(np.cumsum(lengths) - lengths, lengths)
    inside = np.arange(windows.num_positions) - first < end
    start = replay_windows(windows).start_prob * inside
    drafting = windows.num_drafted > 0
    accepted = np.zeros(most)
    kept = start @ windows.survival[:, 1 : most + 1]
    accepted[: kept.size] = kept
    return ServedRounds(
        np.add.reduceat(start, np.cumsum(lengths) - lengths),
        float(start @ drafting),
        float(start @ windows.num_drafted),
        accepted,
    )
