"""The command line: which commands there are, and how a run ends.

Exit 0 on success, 2 on bad input (one line that says what and why), 130 when
interrupted. Results go to standard output, progress to standard error.
"""

from __future__ import annotations

import sys

import typer

from app.options import dashboard, deciding, engines, measuring, models, studies
from app.options.shared import BadInputError
from app.terminal import notice

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Measure, predict and check what speculative decoding gains.",
)
app.command()(measuring.profile)
app.command()(deciding.predict)
app.command()(deciding.optimize)
app.command()(deciding.merge)
app.command()(measuring.validate)
app.command()(measuring.decode)
app.command()(measuring.compare)
app.command()(studies.bench)
app.command()(studies.reproduce)
app.command()(studies.transfer)
app.command()(models.train)
app.command("import")(engines.import_engine)
app.command()(engines.export)
app.command()(models.session)
app.command("serve-vllm")(engines.serve_vllm)
app.command("app")(dashboard.dashboard)

ENGINE = {"torch", "transformers", "tokenizers", "safetensors"}
"""What is left out of an installation that only predicts."""


def main() -> None:
    """Entry point of the console script."""
    try:
        app()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in ENGINE:
            raise
        notice(f"speculens: this needs {error.name}: pip install 'speculens[engine]'")
        sys.exit(2)
    except Exception as error:
        if not is_bad_input(error):
            raise
        notice(f"speculens: {error}")
        sys.exit(2)


def is_bad_input(error: Exception) -> bool:
    """True for errors that describe input in one line; anything else is a defect."""
    from measurements import RecordError

    kinds: tuple[type[Exception], ...] = (BadInputError, RecordError)
    if "engine.errors" in sys.modules:
        from engine.errors import InputError

        kinds = (*kinds, InputError)
    return isinstance(error, kinds)


if __name__ == "__main__":
    main()
