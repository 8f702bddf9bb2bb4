"""Text that a model writes by itself, to count n-grams in.

Texts begin with the end-of-text token and are sampled in batches, one
``.npy`` file per batch. A file is a function of the seed and its number, so
an interrupted run goes on where it stopped and ends with the same text.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from engine.cache import KVCache, as_transformers_cache
from engine.errors import InputError
from engine.model import Model
from engine.sampling import Sampling, distribution, draw

TEMPERATURE = 1.5
"""Of Spector & Re, arXiv:2308.04623, section 3: wide enough to reach what verification visits."""


@dataclass(frozen=True)
class TextRecipe:
    """How text is sampled.

    Attributes
    ----------
    temperature : float, > 0
    batch : int
        Texts sampled at a time.
    length : int
        Of each text, its first token (end of text) included. [tokens]
    seed : int
    """

    temperature: float = TEMPERATURE
    batch: int = 256
    length: int = 256
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise InputError(f"sampling temperature must be above 0, not {self.temperature:g}")
        if self.batch < 1 or self.length < 2:
            raise InputError(
                f"a batch needs at least 1 text of 2 tokens, not {self.batch} of {self.length}"
            )


def sample_texts(
    model: Model,
    recipe: TextRecipe,
    folder: Path,
    num_tokens: int,
    *,
    minutes: float | None = None,
    report: Callable[[int], None] = lambda tokens: None,
) -> list[Path]:
    """Sample until the folder holds num_tokens or the minutes of this call are over.

    Parameters
    ----------
    model : Model
    recipe : TextRecipe
    folder : Path
        Files from an earlier call with the same recipe count.
    num_tokens : int
        [tokens]
    minutes : float, optional
        Checked between files: at least one file is made. [min]
    report : callable
        Receives the tokens in the folder after every file.

    Returns
    -------
    list of Path
        Files of int arrays [batch, length], uint16 or uint32.

    Raises
    ------
    InputError
        If texts exceed the model's context.
    """
    if recipe.length > model.context:
        raise InputError(
            f"texts of {recipe.length} tokens exceed the context of {model.name}: "
            f"{model.context} tokens"
        )
    folder.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    per_file = recipe.batch * recipe.length
    files = []
    for number in range(-(-num_tokens // per_file)):
        path = folder / f"{recipe.seed:03d}-{number:06d}.npy"
        if not path.exists():
            texts = sample_batch_of_texts(model, recipe, number)
            partial = path.with_suffix(".partial.npy")
            np.save(partial, texts)
            partial.replace(path)
        files.append(path)
        report(len(files) * per_file)
        if minutes is not None and time.perf_counter() - started > 60 * minutes:
            break
    return files


@torch.inference_mode()
def sample_batch_of_texts(model: Model, recipe: TextRecipe, number: int) -> np.ndarray:
    """The texts [batch, length] of one file."""
    device, hf = model.device, model.hf
    rng = np.random.default_rng((recipe.seed, number))
    sampling = Sampling(recipe.temperature)
    cache = _batch_cache(model, recipe)
    held = as_transformers_cache(cache)
    first = hf.config.eos_token_id or 0
    token = torch.full((recipe.batch, 1), first, dtype=torch.int64, device=device)
    texts = [token]
    for position in range(recipe.length - 1):
        # a step sees all that is held: a mask of zeros keeps the model from building its own
        mask = torch.zeros(1, 1, 1, position + 1, dtype=model.dtype, device=device)
        place = torch.full((recipe.batch, 1), position, device=device)
        output = hf(
            input_ids=token,
            attention_mask=mask,
            position_ids=place,
            past_key_values=held,
            use_cache=True,
        )
        cache.advance(1)
        uniforms = torch.from_numpy(rng.random(recipe.batch)).to(device)
        token = draw(distribution(output.logits[:, -1], sampling), uniforms)[:, None]
        texts.append(token)
    kind = np.uint16 if model.vocab_size <= 1 << 16 else np.uint32
    return torch.cat(texts, dim=1).cpu().numpy().astype(kind)


def _batch_cache(model: Model, recipe: TextRecipe) -> KVCache:
    one = model.new_cache(1)
    layers, _, kv_heads, _, head_dim = one.keys.shape
    return KVCache(
        layers,
        kv_heads,
        head_dim,
        recipe.length,
        dtype=model.dtype,
        device=model.device,
        batch=recipe.batch,
    )
