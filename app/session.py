"""What does a session on a borrowed machine do, piece by piece? Commands only; nothing runs here.

A session trains a pair with its drafters and takes every measurement on it. A piece is one
ordinary ``speculens`` command, so that each can be repeated by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TRAINING = ("train-oracle", "train-draft", "train-drafters")
MEASURING = ("profile", "stages", "decode", "reproduce-staged", "validate", "bench")
PIECES = (*TRAINING, *MEASURING)


@dataclass(frozen=True)
class Extent:
    """How much a session trains and measures.

    Attributes
    ----------
    target, draft, drafters : tuple of str
        ``--minutes`` or ``--steps`` and how many.
    names : tuple of str
        Folders of target and draft.
    prompts, new_tokens, blocks : int
        Prompts of each measurement, tokens of each, repeats of every stage time.
    methods : str
        Of profile and decode, as compare takes them.
    questions : str
        Of ``speculens transfer``.
    plan : str
        Of ``speculens validate``.
    """

    target: tuple[str, str]
    draft: tuple[str, str]
    drafters: tuple[str, str]
    names: tuple[str, str]
    prompts: int
    new_tokens: int
    blocks: int
    methods: str
    questions: str
    plan: str


EXTENTS: Mapping[str, Extent] = {
    "gpt2-large-python": Extent(
        target=("--minutes", "6.5"), draft=("--minutes", "2"), drafters=("--minutes", "3"),
        names=("gpt2-large-python", "gpt2-40m-python"),
        prompts=8, new_tokens=128, blocks=4, methods="all", questions="sizes,context,batch",
        plan="quick",
    ),
    "embedded": Extent(
        target=("--minutes", "50"), draft=("--minutes", "14"), drafters=("--minutes", "60"),
        names=("python-13m", "python-draft-2m"),
        prompts=8, new_tokens=128, blocks=4, methods="all", questions="sizes,context,batch",
        plan="full",
    ),
    "tiny": Extent(
        target=("--steps", "3"), draft=("--steps", "3"), drafters=("--steps", "2"),
        names=("tiny-target", "tiny-draft"),
        prompts=2, new_tokens=12, blocks=2, methods="medusa", questions="context",
        plan="quick",
    ),
}  # fmt: skip
"""By preset of ``speculens train``; the large one fills 30 minutes of an H100 (docs/gpu.md)."""


def commands(
    preset: str,
    device: str,
    out: Path,
    state: Path,
    target: str | None = None,
    draft: str | None = None,
) -> dict[str, list[str]]:
    """Arguments of ``speculens`` for every piece, in order.

    Parameters
    ----------
    preset : str
        Of ``EXTENTS``.
    device : str
    out, state : Path
        Folder of records; of everything that lets a piece go on.
    target, draft : str, optional
        A pair that is there already: nothing is trained.

    Examples
    --------
    >>> commands("tiny", "cpu", Path("o"), Path("s"))["train-draft"][:4]
    ['train', 'draft', '--preset', 'tiny']
    """
    extent, zoo = EXTENTS[preset], state / "zoo"
    train = ["--preset", preset, "--out", str(zoo), "--device", device]
    names = [str(target or zoo / extent.names[0]), str(draft or zoo / extent.names[1])]
    pair = ["--target", names[0], "--draft", names[1], "--device", device]
    measured = [*pair, "--new-tokens", str(extent.new_tokens), "--out", str(out)]
    some = [*measured, "--num-prompts", str(extent.prompts)]
    blocks = ["--blocks", str(extent.blocks)]
    methods = ["--methods", extent.methods]
    ngram = [] if target else ["--ngram", str(zoo / "work-ngram" / "ngram")]
    every = {
        "train-oracle": ["train", "target", *train, *extent.target],
        "train-draft": ["train", "draft", *train, *extent.draft],
        "train-drafters": [
            "train", "medusa", "hydra", "mtp", "diffusion", "ngram", *train, *extent.drafters,
        ],
        "profile": ["profile", *some, *methods, *blocks],
        "stages": ["transfer", *measured, "--questions", extent.questions, *blocks],
        "decode": [
            "compare", *some, *methods, "--temperature", "0", "--state", str(state / "decode"),
        ],
        "reproduce-staged": [
            "reproduce", "staged", *some, "--quick", *ngram, "--state", str(state / "staged"),
        ],
        "validate": [
            "validate", *some, "--plan", extent.plan, "--temperature", "0", "--temperature", "0.7",
            "--state", str(state / "validate"), "--repeats", "1",
        ],
        "bench": ["bench", *pair, "--num-prompts", str(extent.prompts),
                  "--new-tokens", str(extent.new_tokens), "--json"],
    }  # fmt: skip
    wanted = PIECES if target is None else MEASURING
    return {piece: every[piece] for piece in wanted}
