"""Save heads to a folder, load them onto their target, refuse them for any other."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from engine.errors import InputError
from engine.heads.hydra import HydraHeads
from engine.heads.medusa import MedusaHeads
from engine.heads.mtp import MtpModule
from engine.heads.target_ends import TargetEnds
from engine.model import ZOO, Model

Heads = MedusaHeads | HydraHeads | MtpModule

KINDS: dict[str, type[MedusaHeads] | type[HydraHeads] | type[MtpModule]] = {
    "medusa": MedusaHeads,
    "hydra": HydraHeads,
    "mtp": MtpModule,
}

CARD = "heads.json"
WEIGHTS = "heads.safetensors"


def save_heads(heads: Heads, target: str, training: dict[str, Any], folder: Path) -> None:
    """Write bfloat16 weights and a card.

    Parameters
    ----------
    heads : Heads
    target : str
        Name of the model they were trained on.
    training : dict
        Steps, losses, accuracies: whatever should be known of them.
    folder : Path
        Made if need be.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name: value.detach().to("cpu", torch.bfloat16).contiguous()
        for name, value in heads.state_dict().items()
    }
    save_file(weights, folder / WEIGHTS)
    card = {
        "kind": heads.kind,
        "target": target,
        "hidden_size": heads.ends.width,
        "vocab_size": heads.ends.vocab_size,
        "config": heads.config,
        "training": training,
    }
    (folder / CARD).write_text(json.dumps(card, indent=1) + "\n")


def load_heads(source: str, target: Model) -> Heads:
    """Heads of any kind, on the target's device and in its dtype.

    Parameters
    ----------
    source : str
        Zoo name or folder.
    target : Model
        Lends embedding and output head.

    Raises
    ------
    InputError
        If there is no such folder, its files are damaged, or the heads were made
        for another hidden size or vocabulary.
    """
    folder = ZOO / source if (ZOO / source / CARD).is_file() else Path(source).expanduser()
    card = read_card(source)
    ends = TargetEnds.of(target)
    made_for, given = (card["hidden_size"], card["vocab_size"]), (ends.width, ends.vocab_size)
    if made_for != given:
        raise InputError(
            f"heads '{source}' were trained for {card['target']} (hidden size {made_for[0]}, "
            f"{made_for[1]} tokens); {target.name} has hidden size {given[0]}, {given[1]} tokens"
        )
    heads = KINDS[card["kind"]](ends, **card["config"])
    try:
        heads.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"cannot read the weights of heads '{source}': {reason}") from None
    return heads.to(target.device, target.dtype).eval().requires_grad_(False)


def read_card(source: str) -> dict[str, Any]:
    """What is known of saved heads: kind, target, shape, training.

    Raises
    ------
    InputError
        If there is no card, or it is not one of heads.
    """
    path = ZOO / source / CARD
    if not path.is_file():
        path = Path(source).expanduser() / CARD
    try:
        card = json.loads(path.read_text())
        complete = card["kind"] in KINDS and {"target", "hidden_size", "vocab_size", "config"} <= (
            card.keys()
        )
    except OSError:
        known = ", ".join(sorted(p.parent.name for p in ZOO.glob(f"*/{CARD}")))
        raise InputError(
            f"no heads '{source}': not a folder with {CARD}, and the zoo has {known or 'none'}"
        ) from None
    except (ValueError, KeyError, TypeError):
        complete = False
    if not complete:
        raise InputError(f"{path} does not describe heads of a known kind ({', '.join(KINDS)})")
    return card
