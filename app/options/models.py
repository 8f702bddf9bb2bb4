"""Options of the commands that train, and that use a borrowed machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.options.shared import DEFAULT_OUT, Device, Draft, Json, Out, Seed, Target


def train(
    kinds: Annotated[
        list[str] | None,
        typer.Argument(
            help="pair, target, draft, medusa, hydra, mtp, diffusion, ngram or all; default: pair."
        ),
    ] = None,
    preset: Annotated[
        str, typer.Option(help="Recipes by name: embedded, gpt2-large-python or tiny.")
    ] = "embedded",
    out: Out = Path("runs/zoo"),
    target: Target = None,
    draft: Draft = None,
    minutes: Annotated[float | None, typer.Option(help="Work for so long, all together.")] = None,
    steps: Annotated[int | None, typer.Option(help="Or so many steps each.")] = None,
    compiled: Annotated[bool, typer.Option("--compile", help="Use torch.compile.")] = False,
    device: Device = "auto",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Train a pair, or drafters for a target, on Python source found here; resumes."""
    from app.commands import train as command
    from app.terminal import print_json

    folders = command.run(
        kinds or ["pair"], out, minutes, steps, device, seed, target=target, draft=draft,
        preset=preset, compiled=compiled,
    )  # fmt: skip
    if as_json:
        print_json(folders)
    else:
        for kind, folder in folders.items():
            print(f"{kind}: {folder}")


def session(
    pieces: Annotated[
        list[str] | None, typer.Argument(help="Some of them; default: all that are not done yet.")
    ] = None,
    preset: Annotated[
        str, typer.Option(help="Pair by name: gpt2-large-python, embedded or tiny.")
    ] = "gpt2-large-python",
    minutes: Annotated[
        float | None, typer.Option(help="Stop after so many; the same command goes on.")
    ] = None,
    device: Device = "auto",
    out: Out = DEFAULT_OUT,
    state: Annotated[
        Path | None,
        typer.Option(help="Folder of models and half-done work; default: beside --out."),
    ] = None,
    pack: Annotated[
        Path | None, typer.Option(help="Also write the records here, in parts of 16 MB.")
    ] = None,
    target: Target = None,
    draft: Draft = None,
) -> None:
    """Train a pair with its drafters and measure all of it, in pieces, on a borrowed machine.

    Exit code 3: time ran out, and the same command goes on.
    """
    from app.commands import session as command

    options = command.SessionOptions(
        preset, device, minutes, out, state or out.with_name(f"{out.name}-session"), pack,
        target, draft,
    )  # fmt: skip
    code = command.run(pieces or (), options)
    raise typer.Exit(code)
