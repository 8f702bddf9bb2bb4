"""What does a log of emitted tokens say about drafting less?

Some tools log, for every output position, how many tokens a round would emit
that starts there. Cut at any number of drafts, that is the law that replay
takes.
"""

import numpy as np
from numpy.typing import ArrayLike

from simulator.checks import counts, one_count, prompt_lengths
from simulator.hazards import remaining_tokens
from simulator.windows import Windows


def emitted_windows(emitted: ArrayLike, lengths: ArrayLike, num_draft_tokens: int) -> Windows:
    """Windows of a chain from what rounds emit that start at each position.

    Parameters
    ----------
    emitted : array [num_positions], >= 1
        Tokens a round emits that starts here, its recovered or bonus token
        counted. [tokens]
    lengths : array [num_prompts], >= 1
        Tokens of each prompt, one behind the other. [tokens]
    num_draft_tokens : int, >= 0
        Drafted per round; no more than the log was made with. [tokens]

    Returns
    -------
    Windows

    Raises
    ------
    ValueError
        If an argument leaves its bounds.

    Notes
    -----
    docs/model.md, M1: exact where a shorter draft is the start of a longer one,
    so for chains, not for drafters that plan a block at once.

    Examples
    --------
    >>> from simulator.replay import replay_windows
    >>> replay_windows(emitted_windows([3, 1, 1, 2, 1, 1], [6], 2)).tau
    2.0
    >>> replay_windows(emitted_windows([3, 1, 1, 2, 1, 1], [6], 1)).tau
    1.5
    """
    kept = counts("emitted", emitted, 1) - 1
    gamma = one_count("num_draft_tokens", num_draft_tokens, 0)
    tokens = prompt_lengths(lengths, kept.size)
    drafted = np.minimum(gamma, remaining_tokens(tokens) - 1)
    return Windows.from_kept(np.minimum(kept, gamma), drafted, tokens)
