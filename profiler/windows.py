"""How many drafts would a round keep that starts here, for every method and position?

Asked along the text that the target writes alone, so that one text serves all
methods. Guesses are compared with the text. Drafts that are drawn would differ
from it: their laws along the text say how likely each token of it is to have
come from a kept draft (docs/model.md, M1 and M3). What neither answers is
rolled out, and marked as not exact.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch

from engine.decode import Request, rule_of
from engine.drafters.language_model import LanguageModelDrafter
from engine.drafters.staged import StagedDrafter
from engine.errors import InputError
from engine.model import Model
from engine.randomness import Uniforms
from engine.rules import Rule
from engine.trees import Growth, Shape, Tree
from measurements import canonical_parameters
from profiler.kept_children import kept_child_chances
from profiler.methods import Method
from profiler.own_text import OwnText, write_alone
from profiler.position_laws import PositionLaws
from profiler.proposals import ForcedChoice, Proposal, num_kept, proposals
from profiler.rollouts import kept_in_rollouts
from profiler.survival import block_survival, tree_survival

ROLLOUTS = 2
"""Drafts judged per position where no law tells what would be kept."""


@dataclass(frozen=True)
class Window:
    """A round that starts at some position.

    Attributes
    ----------
    num_drafted : int
        Tokens the target verifies; 0 is a plain step. [tokens]
    survival : list of float
        P(the first j tokens from there on come from kept drafts), j = 0, 1, ...
        depth of the draft, given the text. [unitless]
    draft_calls : float
        Forwards of the draft; NaN where no model drafts.
    """

    num_drafted: int
    survival: list[float]
    draft_calls: float


@torch.inference_mode()
def prompt_windows(
    target: Model, methods: Sequence[Method], request: Request, prompt_index: int
) -> pd.DataFrame:
    """Windows of methods along the target's own text behind one prompt.

    Parameters
    ----------
    target : Model
    methods : sequence of Method
        With drafters; their rules replace the request's.
    request : Request
        A method whose rule is ``coupled`` is asked along the text of that rule's noise.
    prompt_index : int
        Goes into the column ``prompt``.

    Returns
    -------
    pandas.DataFrame
        Columns of ``measurements.WINDOWS_SCHEMA``.

    Raises
    ------
    InputError
        If a method has no drafter or no shape.
    """
    laws: dict[bool, PositionLaws] = {}
    frames = []
    for method in methods:
        coupled = method.rule == "coupled" and not request.sampling.greedy
        if coupled not in laws:
            text = write_alone(target, replace(request, rule="coupled" if coupled else "rejection"))
            laws[coupled] = PositionLaws(text, _widest(methods))
        windows = list(method_windows(target, method, laws[coupled]))
        frames.append(_rows(method, windows, request, prompt_index))
    return pd.concat(frames, ignore_index=True)


def method_windows(target: Model, method: Method, laws: PositionLaws) -> Iterator[Window]:
    """A window for every position of a text; see ``prompt_windows``."""
    text = laws.text
    if method.drafter is None or method.shape is None:
        raise InputError(f"method {method.name} drafts nothing: there are no windows")
    mine = replace(text.request, rule=method.rule, candidates=method.candidates)
    rule = rule_of(target, mine)
    if not is_exact(method, text.request):
        return _rolled_out(target, method, text, mine)
    if isinstance(method.drafter, LanguageModelDrafter | StagedDrafter) and isinstance(
        method.shape, Tree
    ):
        # what a level below draws must not be what the text was drawn with
        drawing = rule if rule.guesses else rule_of(target, replace(mine, seed=mine.seed + 1))
        return _by_position(method, method.shape, laws, rule, drawing)
    if rule.guesses:
        proposed = proposals(method.drafter, text, method.shape, rule)
        return (_compared(proposal, text) for proposal in proposed)
    return _along_the_text(method, method.shape, text)


def is_exact(method: Method, request: Request) -> bool:
    """Whether survival is the law given the text, not an estimate from roll-outs.

    What a tree drawn token by token becomes depends on branches that the text
    never took, and typical acceptance leaves the target's text.
    """
    drawn = method.rule in ("rejection", "block") and not request.sampling.greedy
    return method.lossless and not (drawn and isinstance(method.shape, Growth))


def _by_position(
    method: Method, shape: Tree, laws: PositionLaws, rule: Rule, drawing: Rule
) -> Iterator[Window]:
    """A causal draft says the same at a position whenever a round starts."""
    text, drafter = laws.text, method.drafter
    assert isinstance(drafter, LanguageModelDrafter | StagedDrafter)
    calls: Iterator[float] | None = None
    if isinstance(drafter, StagedDrafter):  # how often the draft runs depends on the lower level
        calls = (proposal.draft_calls for proposal in proposals(drafter, text, shape, drawing))
    if rule.guesses:
        ranks = laws.ranks(drafter.model, rule, max(shape.widths))
        chances = np.eye(max(shape.widths) + 1)[ranks][:, :-1]
    elif method.rule == "block":
        ratios = laws.ratios(drafter.model, method.candidates)
    else:
        chances = laws.chances(drafter.model, method.candidates)
    for start in range(len(text)):
        tree = shape.cut(len(text) - start - 1)
        if method.rule == "block" and not rule.guesses:
            survival = block_survival(ratios[start : start + tree.depth].tolist())
        else:
            survival = tree_survival(tree, chances[start : start + tree.depth])
        yield Window(len(tree), survival, float(tree.depth) if calls is None else next(calls))


def _compared(proposal: Proposal, text: OwnText) -> Window:
    """Guesses: kept as far as they are the text."""
    survival = [1.0]
    if proposal.draft is not None:
        kept = num_kept(proposal.draft, text.tokens[proposal.start : -1].tolist())
        survival += [float(j <= kept) for j in range(1, proposal.draft.tree.depth + 1)]
    return Window(proposal.num_drafted, survival, proposal.draft_calls)


def _along_the_text(method: Method, shape: Shape, text: OwnText) -> Iterator[Window]:
    """Drawn drafts: from the laws the drafter states when it is made to draft the text itself."""
    assert method.drafter is not None
    device, request = text.tokens.device, text.request
    forced = ForcedChoice(
        request.sampling, text.tokens, Uniforms(request.seed, device), method.candidates
    )
    target_laws = text.target_laws()
    generator = torch.Generator().manual_seed(request.seed)
    for proposal in proposals(method.drafter, text, shape, forced):
        draft, here = proposal.draft, proposal.start
        if draft is None or draft.laws is None:
            yield _compared(proposal, text)
            continue
        tree = draft.tree
        first = [tree.depths.index(depth) for depth in range(1, tree.depth + 1)]
        q = draft.laws[[draft.law_of[node] if draft.law_of else node for node in first]]
        p, x = target_laws[here : here + tree.depth], text.tokens[here : here + tree.depth]
        if method.rule == "block":
            ratios = (q.gather(1, x[:, None]) / p.gather(1, x[:, None]))[:, 0]
            survival = block_survival(ratios.tolist())
        else:
            chances = np.zeros((tree.depth, max(tree.widths)))
            for row, width in enumerate(tree.widths):
                at = slice(row, row + 1)
                found = kept_child_chances(p[at], q[at], x[at], width, generator)
                chances[row, :width] = found[0].cpu().numpy()
            survival = tree_survival(tree, chances)
        yield Window(proposal.num_drafted, survival, proposal.draft_calls)


def _rolled_out(target: Model, method: Method, text: OwnText, request: Request) -> Iterator[Window]:
    """Real drafts, judged by the target: how many were kept, on average."""
    repeats = 1 if request.sampling.greedy else ROLLOUTS
    passes = [  # one after the other: they share the method's drafter
        list(kept_in_rollouts(target, method, text, replace(request, seed=request.seed + 1 + i)))
        for i in range(repeats)
    ]
    for rounds in zip(*passes, strict=True):
        kept = np.array([r.kept for r in rounds])
        survival = [float((kept >= j).mean()) for j in range(max(r.depth for r in rounds) + 1)]
        num_drafted = round(float(np.mean([r.num_drafted for r in rounds])))
        yield Window(num_drafted, survival, float(np.mean([r.draft_calls for r in rounds])))


def _rows(
    method: Method, windows: Sequence[Window], request: Request, prompt_index: int
) -> pd.DataFrame:
    positions = np.arange(len(windows))
    return pd.DataFrame(
        {
            "method": method.name,
            "parameters": canonical_parameters(method.parameters),
            "sampling": request.sampling.label,
            "prompt": prompt_index,
            "position": positions,
            "context": len(request.prompt) + positions,
            "num_drafted": [w.num_drafted for w in windows],
            "survival": [w.survival for w in windows],
            "draft_calls": [w.draft_calls for w in windows],
            "exact": is_exact(method, request),
        }
    )


def _widest(methods: Sequence[Method]) -> int:
    """Children that any tree of these methods hangs off one token at most."""
    trees = [method.shape for method in methods if isinstance(method.shape, Tree)]
    return max((max(tree.widths, default=1) for tree in trees), default=1)
