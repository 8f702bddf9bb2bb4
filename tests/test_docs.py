"""What README and docs say is run, or at least exists."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def test_python_in_the_readme_prints_what_it_says() -> None:
    for code in blocks(README, "python"):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
        )
        expected = re.findall(r"print\(.*\)  # (.+)", code)
        assert expected
        assert done.stdout.split() == expected


def test_commands_in_the_readme_exist_with_their_options() -> None:
    from typer.testing import CliRunner

    from app.cli import app

    lines = [line for block in blocks(README, "sh") for line in block.splitlines()]
    commands = [line.split("#")[0].split() for line in lines if line.startswith("speculens")]
    assert len(commands) >= 8
    for _, name, *arguments in commands:
        shown = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"}).output
        for option in (a for a in arguments if a.startswith("--")):
            assert option in shown, (name, option)


def test_every_file_the_readme_lists_exists() -> None:
    tree = README.split("## Files")[1].split("```")[1]
    folder = ""
    for line in tree.strip().splitlines():
        top = re.match(r"^(\w+/)", line)
        folder = top.group(1) if top else folder
        for name in re.findall(r"\b\w+\.py\b", line):
            assert (ROOT / folder / name).exists(), f"{folder}{name}"


@pytest.mark.parametrize("path", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))])
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), target
