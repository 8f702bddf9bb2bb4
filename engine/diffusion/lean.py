"""The denoiser's forward for decoding: one sequence, cached prefix, precomputed gains.

The same arithmetic as engine/diffusion/network.py with a fraction of its
overhead (a test holds the two against each other).
"""

import torch
import torch.nn.functional as F

from engine.cache import KVCache
from engine.diffusion.network import Denoiser, Layer, rotary_table
from engine.errors import InputError


class _Weights:
    """One layer's matrices in the decoding dtype."""

    def __init__(self, layer: Layer, dtype: torch.dtype) -> None:
        self.qkv, self.out = layer.qkv.to(dtype), layer.out.to(dtype)
        self.gate_up, self.down = layer.gate_up.to(dtype), layer.down.to(dtype)


class LeanDenoiser:
    """Fills in one block behind a cached prefix.

    Parameters
    ----------
    denoiser : Denoiser
    context : int
        Longest text. [tokens]
    dtype : torch.dtype
        Of weights and cache.

    Attributes
    ----------
    vocab_size : int
        Also the id of the mask. [tokens]
    max_block : int
        Longest block. [tokens]
    """

    @torch.no_grad()
    def __init__(self, denoiser: Denoiser, context: int, dtype: torch.dtype) -> None:
        config = denoiser.config
        self.config = config
        self.vocab_size, self.max_block = config.vocab_size, config.max_block
        self.context, self.dtype = context, dtype
        self.device = denoiser.embedding.device
        self.width, self.heads, self.head_dim = config.width, config.heads, config.head_dim
        # last row: the mask
        self.embedding = torch.cat([denoiser.embedding.to(dtype), denoiser.mask[None].to(dtype)])
        self.head = denoiser.head.to(dtype)
        self.offsets = denoiser.offset_embed.to(dtype)
        self.layers = [_Weights(layer, dtype) for layer in denoiser.blocks]
        places = torch.arange(context + config.max_block, device=self.device)
        self._places = places
        cos, sin = rotary_table(places, config.head_dim, config.rope_theta)
        self.cos, self.sin = cos[:, None].to(dtype), sin[:, None].to(dtype)
        self._prefix_gains = denoiser.norms.to(dtype)  # [norms, 1, width]
        self._denoiser = denoiser
        self._block_gains: dict[float, torch.Tensor] = {}
        self._gains: dict[tuple[float, int, int], torch.Tensor] = {}
        self._masks: dict[tuple[int, int], torch.Tensor] = {}

    def new_cache(self, capacity: int) -> KVCache:
        """Empty cache for texts of capacity tokens, with room for a block behind them.

        Raises
        ------
        InputError
            If capacity exceeds the context.
        """
        if capacity > self.context:
            raise InputError(
                f"{capacity} tokens exceed the context of the diffusion drafter: "
                f"{self.context} tokens"
            )
        config = self.config
        return KVCache(
            config.layers,
            config.heads,
            config.head_dim,
            capacity + config.max_block,
            dtype=self.dtype,
            device=self.device,
        )

    def denoise(
        self,
        prefix: torch.Tensor,
        block: torch.Tensor,
        last: torch.Tensor,
        cache: KVCache,
        sigma: float,
    ) -> torch.Tensor:
        """Take in new prefix tokens, and give the laws of a block behind them.

        Parameters
        ----------
        prefix : torch.Tensor [num_prefix], int64
            Tokens not yet in the cache, which afterwards holds them; may be empty.
        block : torch.Tensor [size], int64
            vocab_size where masked; leaves nothing behind; may be empty.
        last : torch.Tensor [1], int64
            The prefix's last token.
        cache : KVCache
        sigma : float
            Total noise of the block.

        Returns
        -------
        torch.Tensor [size, vocab], float32
            Logits of the clean tokens.
        """
        c, b, past = prefix.shape[0], block.shape[0], cache.length
        n, width, eps = c + b, self.width, self.config.eps
        cache.require(n)
        if b:
            held = torch.cat([prefix, last, block[:-1]])
            x = F.embedding(held, self.embedding)
            standing = x[c : c + 1] * (held[c:] == self.vocab_size)[:, None]
            x[c:] += standing.add_(self.offsets[:b])
        else:
            x = F.embedding(prefix, self.embedding)
        gains = self._gains_of(sigma, c, b)
        mask = self._mask(c, b, past) if c and n > 1 else None
        # row 0 of the block stands where the prefix ends, on its last token
        cos, sin = self._rotary(past, c, b)
        half = self.head_dim // 2
        for index, layer in enumerate(self.layers):
            h = F.rms_norm(x, (width,), None, eps) * gains[2 * index]
            qkv = F.linear(h, layer.qkv).view(n, 3 * self.heads, self.head_dim)
            qk = qkv[:, : 2 * self.heads]
            qk = torch.addcmul(qk * cos, qk.roll(half, -1), sin).transpose(0, 1)[None]
            v = qkv[:, 2 * self.heads :].transpose(0, 1)[None]
            keys, values = cache.write(index, qk[:, self.heads :], v)
            h = F.scaled_dot_product_attention(qk[:, : self.heads], keys, values, mask)
            x = x + F.linear(h[0].transpose(0, 1).reshape(n, width), layer.out)
            h = F.rms_norm(x, (width,), None, eps) * gains[2 * index + 1]
            gate, up = F.linear(h, layer.gate_up).chunk(2, dim=-1)
            x = x + F.linear(F.silu(gate) * up, layer.down)
        cache.advance(c)  # the block's keys lie behind and are overwritten
        h = F.rms_norm(x[c:], (width,), None, eps) * gains[-1][c:]
        # float32: choosing among bfloat16 logits takes four times as long on a CPU
        return F.linear(h, self.head).float()

    def _gains_of(self, sigma: float, c: int, b: int) -> torch.Tensor:
        """Gains of every norm [norms, c + b, width]: the plain ones, then the block's."""
        key = (sigma, c, b)
        if key not in self._gains:
            if len(self._gains) >= 512:  # long prompts of ever new lengths
                self._gains.clear()
            if sigma not in self._block_gains:
                noise = torch.tensor(sigma, dtype=torch.float32, device=self.device)
                with torch.no_grad():
                    gains = self._denoiser.gains(noise).to(self.dtype)
                self._block_gains[sigma] = gains[:, None]
            shown = self._prefix_gains.expand(-1, c, -1)
            self._gains[key] = torch.cat([shown, self._block_gains[sigma].expand(-1, b, -1)], 1)
        return self._gains[key]

    def _rotary(self, past: int, c: int, b: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Rotary rows of c prefix tokens and of a block whose row 0 stands on the last of them."""
        if c == 0:
            return self.cos[past - 1 : past - 1 + b], self.sin[past - 1 : past - 1 + b]
        if b == 0:
            return self.cos[past : past + c], self.sin[past : past + c]
        end = past + c
        places = torch.cat([self._places[past:end], self._places[end - 1 : end - 1 + b]])
        return self.cos[places], self.sin[places]

    def _mask(self, c: int, b: int, past: int) -> torch.Tensor:
        """Additive [c + b, past + c + b]: prefix tokens see what is before, the block all."""
        among = self._masks.get((c, b))
        if among is None:
            lowest = torch.finfo(self.dtype).min
            among = torch.full((c, c + b), lowest, dtype=self.dtype, device=self.device).triu_(1)
            if c * (c + b) <= 1024:
                self._masks[c, b] = among
        mask = torch.zeros(c + b, past + c + b, dtype=self.dtype, device=self.device)
        mask[:c, past:] = among
        return mask
