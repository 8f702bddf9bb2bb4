"""What would a drafter have to reach? The simulator asked with measured times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulator import break_even_acceptance_rate, required_acceptance_rate, required_cost_ratio


def needed(row: Mapping[str, Any], wanted_speedup: float) -> dict[str, float | None]:
    """Acceptance and drafting time that just reach a speedup, the rest as measured.

    Parameters
    ----------
    row : mapping
        ``num_draft_tokens`` and what ``profiler.setting_speed.speed_of`` returns.
    wanted_speedup : float, > 0
        1 is autoregressive decoding. [unitless]

    Returns
    -------
    dict
        ``acceptance_rate``, constant over positions [unitless], and ``draft_s``, drafting
        time of a round [s]; None where not even certain acceptance, or a free draft, is enough.

    Notes
    -----
    Equations (M12.1) and (M12.3) in docs/model.md. What a measured round takes beyond
    an autoregressive step and its drafting is charged to verification.

    Examples
    --------
    >>> row = {"num_draft_tokens": 4, "tau": 2.0, "draft_s": 0.8, "round_s": 1.8, "step_s": 1.0}
    >>> {k: round(v, 3) for k, v in needed(row, 1.0).items()}
    {'acceptance_rate': 0.455, 'draft_s': 1.0}
    """
    gamma, step = int(row["num_draft_tokens"]), row["step_s"]
    beyond = (row["round_s"] - row["draft_s"]) / step - 1
    slope = max(0.0, beyond / gamma)  # below 0 only by noise
    rate = required_acceptance_rate(
        row["draft_s"] / gamma / step, wanted_speedup, [gamma], verify_slope=slope
    )
    cost = required_cost_ratio(
        constant_rate(row["tau"], gamma), wanted_speedup, [gamma], verify_slope=slope
    )
    return {
        "acceptance_rate": rate.value if rate.reachable else None,
        "draft_s": cost.value * gamma * step if cost.reachable else None,
    }


def constant_rate(tau: float, num_draft_tokens: int) -> float:
    """The acceptance rate that, the same at every position, gives tau tokens per round.

    Examples
    --------
    >>> round(constant_rate(1.75, 2), 6)
    0.5
    """
    return float(break_even_acceptance_rate(num_draft_tokens, 0.0, tau))
