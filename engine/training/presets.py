"""Pairs with the recipes of all their drafters, by name."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.errors import InputError
from engine.training.diffusion import DiffusionRecipe
from engine.training.heads import RECIPES, HeadsRecipe
from engine.training.recipes import PAIRS, PairRecipe
from engine.training.sampled_text import TextRecipe


@dataclass(frozen=True)
class Preset:
    """All that ``speculens train`` makes for one pair.

    Attributes
    ----------
    pair : PairRecipe
    heads : mapping of str to HeadsRecipe
    chunk : int
        Windows whose hidden states are collected at a time.
    diffusion : DiffusionRecipe
    text : TextRecipe
        What n-grams are counted in.
    """

    pair: PairRecipe = field(default_factory=PairRecipe)
    heads: Mapping[str, HeadsRecipe] = field(default_factory=lambda: RECIPES)
    chunk: int = 32
    diffusion: DiffusionRecipe = field(default_factory=DiffusionRecipe)
    text: TextRecipe = field(default_factory=TextRecipe)


_MANY_PIECES = HeadsRecipe(batch=256, matrix_rate=4e-3, other_rate=1e-3, shape={"inner": 640})
_FEW_PIECES = HeadsRecipe(batch=4, length=14, positions=8, shape={"inner": 16})

PRESETS: Mapping[str, Preset] = {
    "embedded": Preset(),
    "gpt2-large-python": Preset(
        pair=PAIRS["gpt2-large-python"],
        heads={
            "medusa": _MANY_PIECES,
            "hydra": _MANY_PIECES,
            "mtp": HeadsRecipe(
                depth=4, batch=32, length=256, positions=128, matrix_rate=2e-3, other_rate=1e-3,
                shape={"attention_heads": 20, "intermediate": 2560},
            ),
        },
        chunk=256,
        diffusion=DiffusionRecipe(
            heads=20, intermediate=2560, batch=16, matrix_rate=2e-3, other_rate=1e-3
        ),
        text=TextRecipe(batch=2048),
    ),
    "tiny": Preset(
        pair=PAIRS["tiny"],
        heads={
            "medusa": _FEW_PIECES,
            "hydra": _FEW_PIECES,
            "mtp": HeadsRecipe(
                depth=2, batch=2, length=32, positions=16,
                shape={"attention_heads": 2, "intermediate": 64},
            ),
        },
        chunk=8,
        diffusion=DiffusionRecipe(
            layers=1, heads=2, intermediate=64, max_block=8, batch=2, length=48, block_tokens=16
        ),
        text=TextRecipe(batch=32, length=64),
    ),
}  # fmt: skip


def preset(name: str) -> Preset:
    """The preset of this name.

    Raises
    ------
    InputError
        Names the known ones.
    """
    if name not in PRESETS:
        raise InputError(f"preset must be one of {', '.join(PRESETS)}, not '{name}'")
    return PRESETS[name]
