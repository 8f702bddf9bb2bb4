"""What would a round cost on a machine that nobody has timed?

Turns two rooflines, of the target and of the draft, into the stage costs that
``scenario.predict`` reads. Everything behind that point is the same as for
measured costs; only the provenance tells. The rooflines may come from a fit to
other models on the machine (``transferred_costs``).
"""

import numpy as np
from numpy.typing import ArrayLike

from simulator.checks import FloatArray, IntArray, at_least, one_count
from simulator.costs import Origin, StageCurve
from simulator.model_shape import ModelShape
from simulator.round_time import StageCosts
from simulator.stage_fit import StageFit
from simulator.stage_time import StageTime


def hardware_costs(
    target: StageTime,
    draft: StageTime,
    *,
    max_draft_tokens: int,
    contexts: ArrayLike,
    batch: float = 1,
    host_seconds: float = 0.0,
) -> StageCosts:
    """Stage costs of chain drafting from rooflines.

    Parameters
    ----------
    target, draft : StageTime
    max_draft_tokens : int, >= 1
        Largest number of drafts the costs will be asked for. [tokens]
    contexts : array [num_contexts], >= 0
        Contexts between which costs are interpolated, ascending; two are
        enough unless windows or a ridge lie between them. [tokens]
    batch : float, >= 1
        Sequences that share every forward.
    host_seconds : float, >= 0
        Choosing, verifying and committing tokens, per round. [s]

    Returns
    -------
    StageCosts
        Times of a round for the whole batch. [s]

    Raises
    ------
    ValueError
        If a number leaves its bound or the contexts do not ascend.

    Notes
    -----
    Equation (M7.8) in docs/model.md: draft calls of a round each at their own
    context, a first call that reads two tokens behind a fully accepted round.
    The provenance of a curve is that of its weakest point.

    Examples
    --------
    >>> from simulator import AcceptanceTrace, Scenario, predict
    >>> from simulator.hardware import known_hardware
    >>> from simulator.known_models import known_shape
    >>> from simulator.stage_time import assumed_stage_time
    >>> card = known_hardware("H100-SXM")
    >>> target = assumed_stage_time(known_shape("Llama-3.1-8B"), card, "bfloat16")
    >>> draft = assumed_stage_time(known_shape("Llama-3.2-1B"), card, "bfloat16")
    >>> costs = hardware_costs(target, draft, max_draft_tokens=8, contexts=[0, 4096])
    >>> ratio = float(draft.seconds(1, 0) / target.seconds(1, 0))
    >>> prediction = predict(Scenario(4, AcceptanceTrace.constant(0.8, 500), costs, ratio))
    >>> round(prediction.speedup.L2, 2), prediction.provenance
    (2.02, {'assumed': 1.0})
    """
    gamma = one_count("max_draft_tokens", max_draft_tokens, 1)
    places = np.atleast_1d(at_least("contexts", contexts, 0))
    if places.size == 0 or (np.diff(places) <= 0).any():
        raise ValueError(f"contexts must ascend and hold >= 1 number, not {places.tolist()}")
    calls = draft.seconds(1, places + np.arange(gamma)[:, None], batch)  # [gamma, contexts]
    one, two = draft.seconds(1, places, batch), draft.seconds(2, places, batch)
    verify = np.arange(1, gamma + 2)
    draft_origin = draft.origin([[1], [2]], np.append(places, places[-1] + gamma), batch)
    host = StageCurve.line(float(at_least("host_seconds", host_seconds, 0)))
    nothing = StageCurve.line(0.0)
    return StageCosts(
        target=_curve(
            verify,
            places,
            target.seconds(verify[:, None], places, batch),
            target.origin(verify[:, None], places, batch),
        ),
        draft=_curve(verify - 1, places, _from_zero(calls), draft_origin),
        catch_up=_curve(np.array([1, gamma + 1]), places, np.stack([two - one] * 2), draft_origin),
        draft_sampling=nothing,
        sampling=host,
        verification=host,
        commit=nothing,
        rest=nothing,
    )


def transferred_costs(
    fit: StageFit,
    target: ModelShape,
    draft: ModelShape,
    *,
    max_draft_tokens: int,
    contexts: ArrayLike,
    batch: float = 1,
    host_seconds: float = 0.0,
) -> StageCosts:
    """Stage costs of models that nobody timed, on a machine where others were.

    Parameters
    ----------
    fit : StageFit
        Of forwards on the machine, of one model or, better, of several sizes.
    target, draft : ModelShape
    max_draft_tokens, contexts, batch, host_seconds
        As in ``hardware_costs``.

    Returns
    -------
    StageCosts
        Their origin is ``modelled`` where tokens, context, batch and size lie inside what
        was timed, else ``extrapolated``. [s]

    Raises
    ------
    ValueError
        As ``hardware_costs``.

    Notes
    -----
    Equations (M7.8) and (M7.9) in docs/model.md; how far off they are, ``speculens transfer``
    measures.

    Examples
    --------
    >>> from simulator.hardware import known_hardware
    >>> from simulator.known_models import known_shape
    >>> from simulator.stage_fit import fit_stage_time
    >>> from simulator.stage_time import assumed_stage_time
    >>> card = known_hardware("H100-SXM")
    >>> small, large = known_shape("Llama-3.2-1B"), known_shape("Llama-3.1-8B")
    >>> true = assumed_stage_time(small, card, "bfloat16", overhead_seconds=1e-3)
    >>> tokens, ones = np.array([1, 2, 8, 64, 256, 1024]), np.ones(6)
    >>> fit = fit_stage_time(small, card, "bfloat16", tokens, 100 * ones, ones,
    ...                      true.seconds(tokens, 100), rng=np.random.default_rng(0), bootstrap=5)
    >>> costs = transferred_costs(fit, large, small, max_draft_tokens=4, contexts=[100])
    >>> costs.target.origin, costs.draft.origin
    ('extrapolated', 'extrapolated')
    >>> round(1e3 * float(costs.target.seconds(1, 100)), 1)
    7.6
    >>> round(1e3 * float(true.of_shape(large).seconds(1, 100)), 1)
    7.6
    """
    return hardware_costs(
        fit.time.of_shape(target),
        fit.time.of_shape(draft),
        max_draft_tokens=max_draft_tokens,
        contexts=contexts,
        batch=batch,
        host_seconds=host_seconds,
    )


def _from_zero(calls: FloatArray) -> FloatArray:
    """Time of the first 0, 1, ... calls [gamma + 1, contexts]."""
    return np.concatenate([np.zeros((1, calls.shape[1])), np.cumsum(calls, axis=0)])


def _curve(levels: IntArray, places: FloatArray, seconds: FloatArray, origin: Origin) -> StageCurve:
    """Curve through seconds [num_levels, num_contexts]."""
    context = np.tile(places, levels.size)
    samples = tuple(np.array([value]) for value in seconds.ravel())
    return StageCurve(
        np.repeat(levels, places.size), context, samples, context, context, origin=origin
    )
