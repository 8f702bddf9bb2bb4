"""Preallocated key/value cache with commit and rollback.

Tensors keep one address for the life of the cache, so that captured graphs
can replay over it. Speculation appends tokens past the committed length and
then keeps an accepted path of them; what is dropped is overwritten later.
"""

from typing import Protocol

import torch
from transformers.cache_utils import Cache, CacheLayerMixin

from engine.errors import InputError


class KVCache:
    """Keys and values of every layer for one batch of equally long sequences.

    Attributes
    ----------
    keys, values : torch.Tensor [layers, batch, kv_heads, capacity, head_dim]
    both : torch.Tensor [2, layers, batch, kv_heads, capacity, head_dim]
        Their common memory: keys, then values.
    length : int
        Tokens held. Rolling back is setting a smaller length: O(1). [tokens]
    """

    def __init__(
        self,
        num_layers: int,
        num_kv_heads: int,
        head_dim: int,
        capacity: int,
        *,
        dtype: torch.dtype,
        device: torch.device,
        batch: int = 1,
    ) -> None:
        if capacity < 1:
            raise InputError(f"cache capacity must be at least 1 token, not {capacity}")
        shape = (2, num_layers, batch, num_kv_heads, capacity, head_dim)
        self._hold(torch.zeros(shape, dtype=dtype, device=device))

    @classmethod
    def over(cls, both: torch.Tensor) -> "KVCache":
        """An empty cache in memory that is there already, shaped as ``both``."""
        cache = cls.__new__(cls)
        cache._hold(both)
        return cache

    def _hold(self, both: torch.Tensor) -> None:
        self.both = both
        # not unpacked: views that one call returns together may not be written to under autograd
        self.keys, self.values = both[0], both[1]
        self.length = 0

    @property
    def capacity(self) -> int:
        """Longest sequence that fits. [tokens]"""
        return self.keys.shape[3]

    def require(self, num_tokens: int) -> None:
        """Refuse if num_tokens more would not fit."""
        free = self.capacity - self.length
        if num_tokens > free:
            raise InputError(
                f"{num_tokens} tokens do not fit: the cache holds {self.length} "
                f"of {self.capacity}, {free} free"
            )

    def write(
        self, layer: int, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Put new keys and values behind the held ones of one layer.

        Parameters
        ----------
        layer : int
        keys, values : torch.Tensor [batch, kv_heads, num_tokens, head_dim]

        Returns
        -------
        tuple of torch.Tensor [batch, kv_heads, length + num_tokens, head_dim]
            Views that include the new tokens. ``length`` does not change until
            ``advance``, because every layer writes at the same place.
        """
        end = self.length + keys.shape[2]
        all_keys, all_values = self.keys[layer], self.values[layer]
        all_keys[:, :, self.length : end] = keys
        all_values[:, :, self.length : end] = values
        return all_keys[:, :, :end], all_values[:, :, :end]

    def advance(self, num_tokens: int) -> None:
        """Count num_tokens, written to every layer, as held."""
        self.require(num_tokens)
        self.length += num_tokens

    def rollback(self, length: int) -> None:
        """Drop everything past the first ``length`` tokens, in O(1)."""
        if not 0 <= length <= self.length:
            raise InputError(f"cannot roll back to {length} tokens: the cache holds {self.length}")
        self.length = length

    def commit(self, base: int, path: list[int]) -> None:
        """Keep the first ``base`` tokens and, after them, the tokens at ``base + path[i]``.

        Parameters
        ----------
        base : int
            Tokens held before the round. [tokens]
        path : list of int
            Strictly increasing offsets of the accepted tokens. A chain is
            ``[0, 1, ..., n]`` and moves nothing; a tree's path is copied
            together in place.
        """
        if any(b <= a for a, b in zip([-1, *path], path, strict=False)):
            raise InputError(f"accepted path must increase strictly from 0 or more, not {path}")
        if path and base + path[-1] >= self.length:
            raise InputError(
                f"accepted path ends at token {base + path[-1]}, the cache holds {self.length}"
            )
        if path != list(range(len(path))):
            index = torch.tensor(path, device=self.keys.device) + base
            end = base + len(path)
            # index_select copies, so source and destination may overlap
            self.both[..., base:end, :] = self.both.index_select(4, index)
        self.length = base + len(path)


class Writable(Protocol):
    """What a Transformers model needs of a cache of ours."""

    @property
    def keys(self) -> torch.Tensor:
        """[layers, batch, kv_heads, capacity, head_dim]."""
        ...

    @property
    def length(self) -> int:
        """Tokens held. [tokens]"""
        ...

    @property
    def capacity(self) -> int:
        """Most tokens that fit. [tokens]"""
        ...

    def write(
        self, layer: int, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Put new keys and values of one layer behind the held ones; all so far."""
        ...


class _SharedLayer(CacheLayerMixin):
    """One layer of a cache of ours behind the interface that Transformers models write to."""

    is_sliding = False
    is_initialized = True

    def __init__(self, cache: Writable, layer: int) -> None:
        super().__init__()
        self.cache = cache
        self.layer = layer
        self.is_initialized = True

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Nothing to do: the cache is allocated."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return self.cache.write(self.layer, key_states, value_states)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.cache.length + query_length, 0

    def get_seq_length(self) -> int:
        return self.cache.length

    def get_max_length(self) -> int:
        return self.cache.capacity

    def get_max_cache_shape(self) -> int:  # the name before transformers 5.20
        return self.cache.capacity


def as_transformers_cache(cache: Writable) -> Cache:
    """View of a cache of ours that unmodified Transformers models accept as past_key_values."""
    return Cache(layers=[_SharedLayer(cache, i) for i in range(cache.keys.shape[0])])
