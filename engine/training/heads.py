"""Train Medusa heads, Hydra heads and the MTP module on a frozen target.

The loss is KL(target || head) per depth, against the target's law behind the
same text; deeper heads weigh less. A head that only sees the past learns the
mean of the target's laws, which is the best it can propose.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from engine.heads.loading import KINDS, Heads, save_heads
from engine.heads.target_ends import TargetEnds
from engine.model import Model
from engine.training.data import Stream
from engine.training.features import PROMPT_LENGTH, FeatureStore, Windows, collect, held_out_windows
from engine.training.trainer import Budget, Progress, make_optimizers, train

RANKS = 10
"""Ranks whose accuracy is reported."""

DEPTH = 5
"""Heads of a kind, and depths whose accuracy is reported. [tokens]"""


@dataclass(frozen=True)
class HeadsRecipe:
    """What decides how heads are trained.

    Attributes
    ----------
    depth : int
        Tokens drafted: heads, or steps the MTP module is unrolled for. [tokens]
    batch, length : int
        Pieces of windows per step; tokens per piece. Medusa and Hydra see one hidden
        state, so many short pieces serve them best; the MTP module attends, and wants long ones.
    positions : int
        Places of each piece whose laws enter the loss; the output head costs most. [tokens]
    decay : float
        Weight of a depth relative to the one above it.
    matrix_rate, other_rate : float
        Learning rates; see ``engine.training.trainer.make_optimizers``.
    shape : mapping
        Further arguments of the heads' constructor, such as ``inner``.
    """

    depth: int = DEPTH
    batch: int = 32
    length: int = 37
    positions: int = 32
    decay: float = 0.8
    matrix_rate: float = 1.2e-2
    other_rate: float = 3e-3
    shape: Mapping[str, int] = field(default_factory=dict)


RECIPES: Mapping[str, HeadsRecipe] = {
    "medusa": HeadsRecipe(),
    "hydra": HeadsRecipe(),
    "mtp": HeadsRecipe(depth=4, batch=4, length=256, positions=128, matrix_rate=6e-3),
}


@dataclass(frozen=True)
class HeadsBudget:
    """How long ``make_heads`` works: collecting once, then training each kind."""

    collecting: Budget
    training: Budget

    @classmethod
    def of_minutes(cls, minutes: float, kinds: int) -> "HeadsBudget":
        """A third of the time for collecting, the rest for the kinds in equal parts."""
        return cls(Budget(minutes=minutes / 3), Budget(minutes=minutes * 2 / 3 / kinds))


def make_heads(
    kinds: Sequence[str],
    target: Model,
    streams: list[Stream],
    budget: HeadsBudget,
    work: Path,
    out: Path,
    *,
    recipes: Mapping[str, HeadsRecipe] | None = None,
    chunk: int = 32,
    seed: int = 0,
    report: Callable[[str, Progress], None] = lambda kind, progress: None,
) -> dict[str, Path]:
    """The whole recipe: collect features once, train every kind, measure it, save it.

    Interrupted, it continues where it stopped.

    Parameters
    ----------
    kinds : sequence of {"medusa", "hydra", "mtp"}
    target : Model
        Run in the dtype it is given in; bfloat16 is fastest.
    streams : list of Stream
        The corpus, in the target's tokenizer; see ``engine.training.pair.build_corpus``.
    budget : HeadsBudget
    work, out : Path
        For caches and checkpoints; for the folders of heads, named by kind.
    recipes : mapping, optional
        By kind; ``RECIPES`` by default.
    chunk : int
        Windows collected at a time.
    seed : int
    report : callable
        Receives the kind and a Progress after every step.

    Returns
    -------
    dict of str to Path
    """
    recipes = RECIPES if recipes is None else recipes
    store = collect(target, streams, work / "features", budget.collecting, batch=chunk, seed=seed)
    text, greedy = held_out_windows(target, streams, batch=32)
    mixed = Windows(
        torch.cat([text.tokens[:4], greedy.tokens[:4]]),
        torch.cat([text.features[:4], greedy.features[:4]]),
    )
    folders = {}
    for kind in kinds:
        heads, last = train_heads(
            kind,
            target,
            store,
            mixed,
            budget.training,
            work / f"{kind}.pt",
            recipe=recipes[kind],
            seed=seed,
            report=partial(report, kind),
        )
        recipe = recipes[kind]
        training = {
            "objective": "KL from the target, corpus text and the target's own continuations",
            "parameters": sum(p.numel() for p in heads.parameters()),
            "steps": last.step,
            "laws_per_step": recipe.batch * recipe.positions * recipe.depth,
            "training_minutes": round(last.worked_s / 60, 1),
            "collected_tokens": store.num_tokens,
            "held_out_kl_nats_per_token": round(last.evaluation or float("nan"), 4),
            "accuracy_by_rank": {
                "corpus_text": rank_accuracies(heads, text, DEPTH, PROMPT_LENGTH),
                "greedy_continuation": rank_accuracies(heads, greedy, DEPTH, PROMPT_LENGTH),
            },
        }
        save_heads(heads, target.name, training, out / kind)
        folders[kind] = out / kind
    return folders


def train_heads(
    kind: str,
    target: Model,
    store: FeatureStore,
    held_out: Windows,
    budget: Budget,
    checkpoint: Path,
    *,
    recipe: HeadsRecipe | None = None,
    seed: int = 0,
    report: Callable[[Progress], None] = lambda progress: None,
) -> tuple[Heads, Progress]:
    """Train one kind of heads.

    Parameters
    ----------
    kind : {"medusa", "hydra", "mtp"}
    target : Model
    store : FeatureStore
        Training windows; see ``engine.training.features.collect``.
    held_out : Windows
        For the evaluation loss.
    budget : Budget
    checkpoint : Path
        An interrupted training continues from it.
    recipe : HeadsRecipe, optional
    seed : int
    report : callable
        Receives a Progress after every step.

    Returns
    -------
    heads : Heads
    last : Progress
        With the held-out loss, KL averaged over depths by weight. [nats/token]
    """
    chosen = recipe or RECIPES[kind]
    torch.manual_seed(seed)
    ends = TargetEnds.of(target)
    heads = new_heads(kind, ends, chosen.depth, chosen.shape).to(target.device).train()

    def loss_of(rng: np.random.Generator) -> torch.Tensor:
        windows = store.sample(chosen.batch, chosen.length, rng)
        length = windows.tokens.shape[1]
        count = min(chosen.positions, length - chosen.depth)
        places = rng.choice(length - chosen.depth, size=count, replace=False) + chosen.depth
        return mean_loss(heads, windows, chosen, torch.from_numpy(np.sort(places)))

    def evaluate() -> float:
        with torch.no_grad():
            places = torch.arange(chosen.depth, held_out.tokens.shape[1])
            return float(mean_loss(heads, held_out, chosen, places))

    last = train(
        heads,
        make_optimizers(heads, chosen.matrix_rate, chosen.other_rate),
        loss_of,
        evaluate,
        budget,
        checkpoint,
        seed=seed,
        report=report,
    )
    return heads.eval(), last


def new_heads(
    kind: str, ends: TargetEnds, depth: int, shape: Mapping[str, int] | None = None
) -> Heads:
    """Untrained heads: at first all of them say what the target's own output head says."""
    options = {} if kind == "mtp" else {"num_heads": depth}
    return KINDS[kind](ends, **options, **(shape or {}))


def mean_loss(
    heads: Heads, windows: Windows, recipe: HeadsRecipe, places: torch.Tensor
) -> torch.Tensor:
    """Mean over depths, by weight, of KL(target || head) behind the tokens at places [n].

    places are counted in the window and not below the depth. [nats/token]
    """
    ends = heads.ends
    device = ends.output.device
    features, tokens = windows.features.to(device), windows.tokens.to(device)
    places = places.to(device)
    with torch.autocast(device.type, dtype=torch.bfloat16):
        wanted = ends.logits(features[:, places]).float().softmax(-1)
        entropy = torch.special.entr(wanted).sum(-1).mean()
        hidden = heads.unrolled(features.float(), tokens, recipe.depth)
        weights = [recipe.decay**k for k in range(recipe.depth)]
        total = torch.zeros((), device=device)
        for k, (weight, rows) in enumerate(zip(weights, hidden, strict=True), start=1):
            logits = ends.logits(rows[:, places - k]).float()
            cross = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(0, 1))
            total = total + weight * (cross - entropy)
    return total / sum(weights)


@torch.inference_mode()
def rank_accuracies(
    heads: Heads, windows: Windows, depth: int, first: int, ranks: int = RANKS
) -> list[list[float]]:
    """How often the token that comes next has each rank at each depth.

    Parameters
    ----------
    heads : Heads
    windows : Windows
        Text; where the target continued it greedily, the next token is its choice.
    depth : int
    first : int
        Only tokens from this place of the window on count.
    ranks : int

    Returns
    -------
    list of list of float
        ``[k][r]``: share of places where the r-th likeliest token (from 0) at depth k + 1 is
        the next one, given that all tokens above it are.
    """
    ends = heads.ends
    features = windows.features.to(ends.output.device, torch.float32)
    tokens = windows.tokens.to(ends.output.device)
    result = []
    for k, rows in enumerate(heads.unrolled(features, tokens, depth), start=1):
        start = max(first, k + 1)
        best = ends.logits(rows[:, start - k - 1 : -1].to(ends.output.dtype)).topk(ranks).indices
        hits = best == tokens[:, start:, None]
        result.append([round(x, 4) for x in hits.float().mean(dim=(0, 1)).tolist()])
    return result
