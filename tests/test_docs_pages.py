"""The code of the pages is run: Python as it stands, commands with fewer prompts and tokens.

A block that is not run says why, in a comment of the page above it.
"""

import io
import re
import shlex
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGES = ["tutorial.md", "faq.md", "drafter.md", "search.md"]
BLOCK = re.compile(
    r"(?:<!-- not run: (?P<reason>[^>]+) -->\n)?```(?P<language>\w+)\n(?P<code>.*?)```", re.DOTALL
)
FEW = ["--num-prompts", "2", "--new-tokens", "16"]
SMALL = {
    "profile": [*FEW, "--blocks", "2", "--dtype", "float32"],
    "validate": [*FEW, "--gamma", "2", "--repeats", "1", "--dtype", "float32"],
    "compare": [*FEW, "--temperature", "0", "--dtype", "float32"],
    "optimize --measure": [*FEW, "--dtype", "float32"],
}
"""Options added to a command, so that it takes seconds."""


def blocks(page: str, language: str) -> list[tuple[int, str]]:
    """Line and code of every block of a page that is run."""
    text = (DOCS / page).read_text()
    return [
        (text[: found.start()].count("\n") + 1, found["code"])
        for found in BLOCK.finditer(text)
        if found["language"] == language and not found["reason"]
    ]


@pytest.mark.parametrize("page", ["tutorial.md", "faq.md", "drafter.md"])
def test_python_of_a_page_runs_and_prints_what_it_says(page: str) -> None:
    names: dict[str, object] = {}
    for line, code in blocks(page, "python"):
        said = io.StringIO()
        with redirect_stdout(said):
            exec(compile(code, f"{page}, line {line}", "exec"), names)
        expected = " ".join(re.findall(r"print\(.*\)  # (.+)", code))
        assert said.getvalue().split() == expected.split(), f"{page}, line {line}"


@pytest.mark.parametrize("page", ["tutorial.md", "faq.md", "search.md"])
def test_commands_of_a_page_run(page: str, tmp_path: Path, monkeypatch, capsys) -> None:
    from app.cli import main

    monkeypatch.chdir(tmp_path)
    commands = [
        line.removeprefix("$ ")
        for _, code in blocks(page, "console")
        for line in code.splitlines()
        if line.startswith("$ ")
    ]
    assert len(commands) >= 3
    for command in commands:
        program, name, *rest = shlex.split(command)
        assert program == "speculens"
        kind = "optimize --measure" if "--measure" in rest else name
        monkeypatch.setattr(sys, "argv", [program, name, *rest, *SMALL.get(kind, [])])
        main_returns(main, command, capsys)


def main_returns(main, command: str, capsys) -> None:
    try:
        main()
    except SystemExit as stop:
        assert not stop.code, f"{command}: {capsys.readouterr().err}"


def test_every_block_that_is_not_run_says_why() -> None:
    for page in [*PAGES, "accuracy.md"]:
        for found in BLOCK.finditer((DOCS / page).read_text()):
            assert found["language"] in ("python", "console"), page
            assert found["reason"] is None or len(found["reason"].split()) >= 2


def test_the_reader_of_pages_sees_reasons(tmp_path: Path) -> None:
    text = "<!-- not run: takes long -->\n```python\n1\n```\n\n```python\n2\n```\n"
    assert [(f["reason"], f["code"]) for f in BLOCK.finditer(text)] == [
        ("takes long", "1\n"),
        (None, "2\n"),
    ]
