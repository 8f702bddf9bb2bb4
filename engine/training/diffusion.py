"""The recipe of the diffusion drafter: denoise blocks of a window, each behind its own prefix.

One forward reads a window of text once and denoises many blocks at random
places in it, each behind the prefix that it would have when drafting. The
loss is the denoising score entropy (engine/diffusion/loss.py).

Distilled: where the denoiser sees nothing later in the block, a masked token's target
is the target model's law given all tokens before it instead of the token
itself. Averaged over the masked tokens before it that is the law of the token
given what the denoiser sees, so the minimiser is that of text written by the
target, at less variance; drafts are judged by the target, not by the data.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from transformers import PreTrainedModel

from engine.diffusion.loss import denoising_score_entropy
from engine.diffusion.network import Denoiser, DenoiserConfig
from engine.diffusion.noise import EPSILON, total_noise
from engine.training.data import Stream, evaluation_batches, sample_batch
from engine.training.trainer import Budget, Progress, make_optimizers, train

SMALLEST_TIME = 1e-3
"""The loss has weight 1/t; as in SEDD's code, times below this are not drawn."""


@dataclass(frozen=True)
class DiffusionRecipe:
    """Everything that decides what the drafter becomes.

    Attributes
    ----------
    layers, heads, intermediate, max_block : int
        See ``DenoiserConfig``; width and vocabulary are the target's.
    batch, length : int
        Windows per step and their length. [tokens]
    block_tokens : int
        About so many block tokens per window. [tokens]
    share_all_masked : float
        Share of blocks at time 1, where every draft begins; the others' times are uniform.
    matrix_rate, other_rate : float
        Learning rates, of Muon and of AdamW.
    """

    layers: int = 2
    heads: int = 4
    intermediate: int = 640
    max_block: int = 16
    batch: int = 4
    length: int = 512
    block_tokens: int = 512
    share_all_masked: float = 0.75
    matrix_rate: float = 4e-3
    other_rate: float = 3e-3

    def config(self, vocab_size: int, width: int) -> DenoiserConfig:
        """Shape of the network for a target."""
        return DenoiserConfig(
            vocab_size, width, self.heads, self.intermediate, self.layers, self.max_block
        )


@dataclass(frozen=True)
class Blocks:
    """Noised blocks of some windows.

    Attributes
    ----------
    starts : torch.Tensor [num_blocks], int64
    times : torch.Tensor [batch, num_blocks], float32
    clean, noised : torch.Tensor [batch, num_blocks, size], int64
    """

    starts: torch.Tensor
    times: torch.Tensor
    clean: torch.Tensor
    noised: torch.Tensor


def cut_blocks(
    windows: torch.Tensor,
    recipe: DiffusionRecipe,
    vocab_size: int,
    rng: np.random.Generator,
    size: int | None = None,
    share_all_masked: float | None = None,
) -> Blocks:
    """Blocks at random places of windows [batch, length], masked by the forward process.

    Sizes are uniform in 1..max_block, one per step; times are stratified over the blocks.
    """
    batch, length = windows.shape
    size = size or int(rng.integers(1, min(recipe.max_block, length - 1) + 1))
    places = np.arange(1, length - size + 1)
    count = min(max(1, recipe.block_tokens // size), len(places))
    starts = np.sort(rng.choice(places, size=count, replace=False))
    share = recipe.share_all_masked if share_all_masked is None else share_all_masked
    strata = (rng.permuted(np.tile(np.arange(count), (batch, 1)), axis=1) + rng.random()) / count
    times = np.where(rng.random((batch, count)) < share, 1.0, strata.clip(SMALLEST_TIME, 1))
    masked = rng.random((batch, count, size)) < (1 - EPSILON) * times[:, :, None]
    clean = windows[:, torch.from_numpy(starts[:, None] + np.arange(size))]
    noised = clean.masked_fill(torch.from_numpy(masked), vocab_size)
    return Blocks(torch.from_numpy(starts), torch.from_numpy(times).float(), clean, noised)


def target_laws(
    target: PreTrainedModel, windows: torch.Tensor, places: torch.Tensor
) -> torch.Tensor:
    """The target's law of the tokens at places, given all before them; see the module's head.

    Parameters
    ----------
    target : PreTrainedModel
    windows : torch.Tensor [batch, length], int64
    places : torch.Tensor [num_places, 2], int64
        Window and position, from 1.

    Returns
    -------
    torch.Tensor [num_places, vocab], float32
    """
    with torch.no_grad(), _autocast(windows.device):
        states = target.base_model(input_ids=windows, use_cache=False).last_hidden_state
        rows = states[places[:, 0], places[:, 1] - 1]
        logits = F.linear(rows, target.get_output_embeddings().weight)
    return logits.float().softmax(-1)


def diffusion_loss(
    denoiser: Denoiser, target: PreTrainedModel | None, windows: torch.Tensor, blocks: Blocks
) -> torch.Tensor:
    """Denoising score entropy per block token; distilled where a target is given.

    Parameters
    ----------
    denoiser : Denoiser
    target : PreTrainedModel or None
        None learns from the data's tokens alone.
    windows : torch.Tensor [batch, length], int64
    blocks : Blocks

    Returns
    -------
    torch.Tensor []
        Mean over all block tokens, visible ones counting 0. [nats/token]
    """
    vocab_size = denoiser.config.vocab_size
    device = windows.device
    is_masked = (blocks.noised == vocab_size).to(device)
    with _autocast(device):
        states = denoiser(
            windows, blocks.noised.to(device), blocks.starts.to(device),
            total_noise(blocks.times).to(device),
        )  # fmt: skip
        logits = F.linear(states[is_masked], denoiser.head)
    labels = blocks.clean.to(device)[is_masked]
    laws = F.one_hot(labels, vocab_size).float()
    if target is not None:
        visible = ~is_masked
        visible[..., -1] = False  # is in no row
        later_visible = visible.flip(-1).cumsum(-1).flip(-1) > 0
        open_ended = ~later_visible[is_masked]
        places = is_masked.nonzero()[open_ended]
        where = blocks.starts.to(device)[places[:, 1]] + places[:, 2]
        laws[open_ended] = target_laws(target, windows, torch.stack([places[:, 0], where], dim=1))
    times = blocks.times.to(device)[..., None].expand(is_masked.shape)[is_masked]
    losses = denoising_score_entropy(logits.float().log_softmax(-1), laws, times)
    return losses.sum() / is_masked.numel()


def new_denoiser(
    recipe: DiffusionRecipe, target: PreTrainedModel, draft: PreTrainedModel | None = None
) -> Denoiser:
    """A denoiser for a target, with the target's embedding and head.

    It starts as a language model where one of the Llama family is at hand: with the layers of
    the draft, or else the target's first, and further layers that add nothing yet.
    """
    embedding = target.get_input_embeddings().weight
    config = recipe.config(embedding.shape[0], embedding.shape[1])
    denoiser = Denoiser(config, embedding, target.get_output_embeddings().weight)
    source = draft or target
    if source.config.model_type == "llama" and source.config.hidden_size == config.width:
        layers = list(source.model.layers)[: recipe.layers] if draft else [source.model.layers[0]]
        _start_from_llama(denoiser, layers, source.model.norm.weight)
    return denoiser


def train_diffusion(
    recipe: DiffusionRecipe,
    streams: list[Stream],
    target: PreTrainedModel,
    budget: Budget,
    checkpoint: Path,
    *,
    device: str = "cpu",
    seed: int = 0,
    draft: PreTrainedModel | None = None,
    distil: bool = True,
    checkpoint_every_s: float = 120.0,
    report: Callable[[Progress], None] = lambda progress: None,
) -> tuple[Denoiser, Progress]:
    """Train a diffusion drafter for a target that stays as it is; resumes from checkpoint.

    Parameters
    ----------
    recipe : DiffusionRecipe
    streams : list of Stream
        Encoded with the target's tokenizer.
    target : PreTrainedModel
    budget : Budget
    checkpoint : Path
    device : str
    seed : int
    draft : PreTrainedModel, optional
        Its layers are where the denoiser starts; see ``new_denoiser``.
    distil : bool
        Learn the target's laws; False learns the data's tokens.
    checkpoint_every_s : float
        [s]
    report : callable

    Returns
    -------
    denoiser : Denoiser
    last : Progress
        With the held-out loss: blocks of max_block tokens, times uniform. [nats/token]
    """
    torch.manual_seed(seed)
    target = target.to(device).eval()
    teacher = target if distil else None
    denoiser = new_denoiser(recipe, target, draft).to(device).train()
    vocab_size = denoiser.config.vocab_size
    held_out = evaluation_batches(streams, 4, recipe.length, 4)

    def loss_of(rng: np.random.Generator) -> torch.Tensor:
        windows = sample_batch(streams, recipe.batch, recipe.length, rng)[:, :-1]
        blocks = cut_blocks(windows, recipe, vocab_size, rng)
        return diffusion_loss(denoiser, teacher, windows.to(device), blocks)

    def evaluate() -> float:
        losses = []
        with torch.no_grad():
            for number, batch in enumerate(held_out):
                rng = np.random.default_rng(number)
                windows = batch[:, :-1]
                blocks = cut_blocks(windows, recipe, vocab_size, rng, recipe.max_block, 0.0)
                losses.append(float(diffusion_loss(denoiser, teacher, windows.to(device), blocks)))
        return float(np.mean(losses))

    last = train(
        denoiser,
        make_optimizers(denoiser, recipe.matrix_rate, recipe.other_rate),
        loss_of,
        evaluate,
        budget,
        checkpoint,
        seed=seed,
        checkpoint_every_s=checkpoint_every_s,
        report=report,
    )
    return denoiser.eval(), last


@torch.no_grad()
def _start_from_llama(denoiser: Denoiser, layers: list[Any], norm: torch.Tensor) -> None:
    """The first layers as given, where shapes agree; later ones leave the stream as it is."""
    for index, (mine, layer) in enumerate(zip(denoiser.blocks, layers, strict=False)):
        attention, mlp = layer.self_attn, layer.mlp
        sources = {
            "qkv": [attention.q_proj, attention.k_proj, attention.v_proj],
            "out": [attention.o_proj],
            "gate_up": [mlp.gate_proj, mlp.up_proj],
            "down": [mlp.down_proj],
        }
        for name, parts in sources.items():
            fused = torch.cat([part.weight for part in parts])
            if fused.shape == getattr(mine, name).shape:
                getattr(mine, name).copy_(fused)
        denoiser.norms[2 * index, 0] = layer.input_layernorm.weight
        denoiser.norms[2 * index + 1, 0] = layer.post_attention_layernorm.weight
    for mine in denoiser.blocks[len(layers) :]:
        mine.out.zero_()
        mine.down.zero_()
    denoiser.norms[-1, 0] = norm


def _autocast(device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, dtype=torch.bfloat16)
