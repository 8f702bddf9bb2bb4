"""What a drafter keeps in memory beside the target, and what a run took at its peak."""

import resource
import sys
from collections.abc import Iterable

import torch

from engine.diffusion.lean import LeanDenoiser
from engine.drafters.base import Drafter
from engine.drafters.diffusion import DiffusionDrafter
from engine.drafters.fallback import FallbackDrafter
from engine.drafters.hydra import HydraDrafter
from engine.drafters.language_model import LanguageModelDrafter
from engine.drafters.lookup import LookupDrafter
from engine.drafters.medusa import MedusaDrafter
from engine.drafters.mtp import MtpDrafter
from engine.drafters.ngram import NgramDrafter
from engine.drafters.staged import StagedDrafter
from engine.errors import InputError


def drafter_bytes(drafter: Drafter) -> int:
    """Bytes of weights and tables, of all levels together. [bytes]

    Heads read the target's own embedding and head, which do not count. Raises InputError for a
    drafter it does not know.
    """
    if isinstance(drafter, LookupDrafter):
        return 0
    if isinstance(drafter, LanguageModelDrafter):
        return drafter.model.weight_bytes
    if isinstance(drafter, StagedDrafter):
        return drafter.model.weight_bytes + drafter_bytes(drafter.lower)
    if isinstance(drafter, FallbackDrafter):
        return drafter_bytes(drafter.first) + drafter_bytes(drafter.second)
    if isinstance(drafter, NgramDrafter):
        trie = drafter.ngram.trie
        best = trie.pair_tokens.nbytes + len(trie.unigram_counts) * trie.pair_tokens.itemsize
        return sum(array.nbytes for array in vars(trie).values()) + best
    if isinstance(drafter, MedusaDrafter | HydraDrafter):
        return _bytes(drafter.heads.parameters())
    if isinstance(drafter, MtpDrafter):
        return _bytes(drafter.module.parameters())
    if isinstance(drafter, DiffusionDrafter) and isinstance(drafter.model, LeanDenoiser):
        model = drafter.model
        layers = [matrix for layer in model.layers for matrix in vars(layer).values()]
        return _bytes([model.embedding, model.head, model.offsets, *layers])
    raise InputError(f"the memory of drafter '{drafter.level}' is not known")


def peak_memory(device: torch.device) -> tuple[int, str]:
    """Most memory in use so far [bytes], and what counted it.

    On CUDA the allocator's tensors on the device since the process began, elsewhere the resident
    memory of the whole process, with the interpreter and its libraries.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device), "allocator"
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, "process"


def _bytes(tensors: Iterable[torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
