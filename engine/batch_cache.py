"""A preallocated key/value cache for several texts of different lengths.

Every row appends at its own end and is rolled back on its own. Nothing is
padded in memory: a mask hides what lies behind a row's end.
"""

from collections.abc import Sequence

import torch

from engine.attention import attend
from engine.cache import KVCache
from engine.errors import InputError


class BatchCache:
    """Keys and values of every layer, one text per row.

    Attributes
    ----------
    both : torch.Tensor [2, layers, rows, kv_heads, capacity, head_dim]
        Keys, then values.
    lengths : list of int
        Tokens held, per row. [tokens]
    """

    def __init__(self, like: KVCache, rows: int, capacity: int) -> None:
        """Empty, for ``rows`` texts of ``capacity`` tokens, otherwise shaped as ``like``."""
        if rows < 1:
            raise InputError(f"a batch needs at least 1 row, not {rows}")
        _, layers, _, heads, _, dim = like.both.shape
        self.both = like.both.new_zeros(2, layers, rows, heads, capacity, dim)
        self.lengths = [0] * rows

    @property
    def keys(self) -> torch.Tensor:
        """[layers, rows, kv_heads, capacity, head_dim]."""
        return self.both[0]

    @property
    def capacity(self) -> int:
        """Longest text that fits. [tokens]"""
        return self.both.shape[4]

    @property
    def length(self) -> int:
        """Of the longest row. [tokens]"""
        return max(self.lengths)

    def row(self, index: int) -> KVCache:
        """An empty cache over the memory of one row; what it holds counts once ``lengths`` says."""
        return KVCache.over(self.both[:, :, index : index + 1])

    def drop(self, index: int) -> None:
        """Take a row out: the last one moves into its place, so that rows stay together."""
        last = len(self.lengths) - 1
        if index != last:
            held = self.lengths[last]
            self.both[:, :, index, :, :held] = self.both[:, :, last, :, :held]
            self.lengths[index] = self.lengths[last]
        self.lengths.pop()
        self.both = self.both[:, :, :last]


class BatchStep:
    """n new tokens per row: where they stand, what they see, and attention with them.

    Made once per forward. A row's tokens stand behind its held ones; those a
    row does not mean (padding at its end) see and are seen by nothing that counts.

    Attributes
    ----------
    positions : torch.Tensor [rows, n], int64
    mask : torch.Tensor [rows, 1, n, longest + n]
        Additive, in the cache's dtype.
    """

    def __init__(self, cache: BatchCache, n: int) -> None:
        both = cache.both
        if cache.length + n > cache.capacity:
            raise InputError(
                f"{n} tokens do not fit: the longest row holds {cache.length} of {cache.capacity}"
            )
        self.cache, self.dtype = cache, both.dtype
        device, rows = both.device, len(cache.lengths)
        starts = torch.tensor(cache.lengths, device=device)[:, None]
        self.positions = starts + torch.arange(n, device=device)
        self.end = cache.length + n
        hidden = torch.arange(self.end, device=device) > self.positions[:, None, :, None]
        self.mask = torch.zeros(hidden.shape, dtype=both.dtype, device=device)
        self.mask.masked_fill_(hidden, torch.finfo(both.dtype).min)
        self._rows = torch.arange(rows, device=device).repeat_interleave(n)
        self._places = self.positions.flatten()
        # [layers][rows, capacity, 2, kv_heads, dim]: memory as the layers' tokens come
        self._slots = both.permute(1, 2, 4, 0, 3, 5).unbind(0)
        self._held = both[..., : self.end, :].unbind(1)

    def __call__(
        self, layer: int, q: torch.Tensor, kv: torch.Tensor, scale: float | None = None
    ) -> torch.Tensor:
        """Write kv [rows * n, 2, kv_heads, dim], attend with q: [rows * n, heads * dim]."""
        self._slots[layer].index_put_((self._rows, self._places), kv)
        keys, values = self._held[layer]
        rows, n = self.positions.shape
        out = attend(q.view(rows, n, *q.shape[1:]), keys, values, self.mask, scale)
        return out.view(rows * n, -1)

    def write(
        self, layer: int, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Put new keys and values [rows, kv_heads, n, dim] behind each row's; all so far.

        The interface of ``KVCache.write``, through which Transformers models run.
        """
        kv = torch.stack([keys, values], dim=1).permute(0, 3, 1, 2, 4).flatten(0, 1)
        self._slots[layer].index_put_((self._rows, self._places), kv)
        all_keys, all_values = self._held[layer]
        return all_keys, all_values

    @property
    def keys(self) -> torch.Tensor:
        """[layers, rows, kv_heads, capacity, head_dim]."""
        return self.cache.keys

    @property
    def length(self) -> int:
        """Of the longest row. [tokens]"""
        return self.cache.length

    @property
    def capacity(self) -> int:
        """Longest text that fits. [tokens]"""
        return self.cache.capacity


def last_of_each(values: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
    """Row i's entry counts[i] - 1 of values [rows, n, ...]: [rows, ...]."""
    if all(count == values.shape[1] for count in counts):
        return values[:, -1]
    index = torch.tensor(counts, device=values.device) - 1
    return values[torch.arange(values.shape[0], device=values.device), index]
