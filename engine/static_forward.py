"""A lean forward over buffers of fixed shape and address, so that CUDA can replay it as a graph.

Decoding repeats a few forwards, of one token and of a round's width, and on a fast device most of
their time goes into launching small kernels. Here a forward of n tokens reads its tokens,
positions, places in the cache and mask from buffers made once for that width, and attends over
the whole memory of the cache, masked where nothing is held yet: nothing in it depends on how long
the text is. On CUDA it is captured at its first use and replayed later.

The arithmetic is that of ``Lean.forward``: a masked place has weight zero exactly, so
only the order of summation over the keys may differ. Wide forwards, such as a prompt, and caches
made elsewhere run through ``Lean.forward`` itself.
"""

import weakref
from collections import defaultdict
from collections.abc import Callable

import torch

from engine.attention import attend
from engine.batch_cache import BatchStep
from engine.cache import KVCache
from engine.lean import Lean
from engine.masks import Layout

BUCKET = 256
"""Caches hold a multiple of so many tokens, so that few different ones are needed. [tokens]"""

WIDEST = 64
"""Wider forwards are not captured: they are not repeated, or busy enough. [tokens]"""


class StaticForward:
    """A ``Lean`` behind buffers of fixed shape; see ``engine.model.Forward``.

    Parameters
    ----------
    lean : Lean
    captured : bool
        Replay CUDA graphs; else the same path runs operator by operator.
    """

    def __init__(self, lean: Lean, captured: bool) -> None:
        self.lean, self.captured = lean, captured
        self.context, self.cache_dtype = lean.context, lean.cache_dtype
        self._memory: dict[int, list[torch.Tensor]] = defaultdict(list)
        self._holders: dict[int, weakref.ref[KVCache]] = {}  # address of the memory to its cache
        self._steps: dict[tuple[int, int], _Step] = {}

    def new_cache(self, capacity: int, make: Callable[[int], KVCache]) -> KVCache:
        """A cache for at least capacity tokens, in memory that no living cache holds.

        ``make`` makes one of a given capacity. Memory is kept, because graphs are tied to it.
        """
        size = -(-capacity // BUCKET) * BUCKET
        for both in self._memory[size]:
            if self._holders[both.data_ptr()]() is None:
                cache = KVCache.over(both)
                break
        else:
            with torch.inference_mode(False):  # it outlives the decode that asked for it
                cache = make(size)
            self._memory[size].append(cache.both)
        self._holders[cache.both.data_ptr()] = weakref.ref(cache)
        return cache

    def forward(
        self,
        tokens: torch.Tensor,
        cache: KVCache,
        num_logits: int,
        layout: Layout | None = None,
        want_features: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Append tokens to the cache; see ``engine.model.Forward``."""
        n, address = tokens.shape[0], cache.both.data_ptr()
        if n > WIDEST or address not in self._holders:
            return self.lean.forward(tokens, cache, num_logits, layout, want_features)
        step = self._steps.get((address, n))
        if step is None:
            with torch.inference_mode(False):
                step = self._steps[address, n] = _Step(self.lean, cache, n)
        step.fill(tokens, cache.length, layout)
        logits, features = step.replay() if self.captured else step.run()
        cache.advance(n)
        # copies: the next replay writes over what it returned
        return logits[n - num_logits :].clone(), features.clone() if want_features else None

    def forward_batch(self, tokens: torch.Tensor, step: BatchStep) -> torch.Tensor:
        """Rows of several texts; not captured."""
        return self.lean.forward_batch(tokens, step)


class _Step:
    """A forward of n tokens over one cache's memory, and its buffers."""

    def __init__(self, lean: Lean, cache: KVCache, n: int) -> None:
        device = cache.both.device
        self.dtype = cache.both.dtype
        self._lean = lean
        self._both = cache.both
        self._layers = cache.both[:, :, 0].unbind(1)  # [2, kv_heads, capacity, dim] each
        self._tokens, self._positions, self._slots = torch.zeros(
            3, n, dtype=torch.int64, device=device
        )
        self._columns = torch.arange(cache.capacity, device=device)
        self._rows = torch.arange(n, device=device)
        self._mask = torch.zeros(n, cache.capacity, dtype=self.dtype, device=device)
        self._seen = torch.zeros((), dtype=self.dtype, device=device)
        self._unseen = torch.full_like(self._seen, torch.finfo(self.dtype).min)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._outputs: tuple[torch.Tensor, torch.Tensor] | None = None

    def fill(self, tokens: torch.Tensor, past: int, layout: Layout | None) -> None:
        """Put the inputs of one call into the buffers."""
        self._tokens.copy_(tokens)
        torch.add(self._rows, past, out=self._slots)
        if layout is None:
            self._positions.copy_(self._slots)
            behind = self._columns > self._slots[:, None]
            self._mask.copy_(torch.where(behind, self._unseen, self._seen))
            return
        self._positions.copy_(layout.positions)
        self._mask.fill_(torch.finfo(self.dtype).min)
        self._mask[:, : past + len(tokens)] = layout.mask

    def run(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits [n, vocab] and features [n, width] of what is in the buffers."""
        features = self._lean.norm(self._lean.blocks(self._tokens, self._positions, self))
        return self._lean.logits(features), features

    def __call__(
        self, layer: int, q: torch.Tensor, kv: torch.Tensor, scale: float | None = None
    ) -> torch.Tensor:
        """Write kv [n, 2, kv_heads, dim], attend with q [n, heads, dim]: [n, heads * dim]."""
        self._layers[layer].index_copy_(2, self._slots, kv.permute(1, 2, 0, 3).contiguous())
        keys, values = self._both[0, layer], self._both[1, layer]
        return attend(q[None], keys, values, self._mask, scale)[0]

    def replay(self) -> tuple[torch.Tensor, torch.Tensor]:
        """As ``run``, by a CUDA graph that is captured at the first call."""
        if self._graph is None:
            aside = torch.cuda.Stream()
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):  # libraries set themselves up outside the capture
                for _ in range(2):
                    self.run()
            torch.cuda.current_stream().wait_stream(aside)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._outputs = self.run()
        self._graph.replay()
        assert self._outputs is not None
        return self._outputs
