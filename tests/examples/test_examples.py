"""Every example runs as it stands, is short, and answers its question."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def run(script: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(script), *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda path: path.name)
def test_example_answers(script: Path) -> None:
    lines = script.read_text().splitlines()
    assert len(lines) <= 60
    assert re.match(r'"""[A-Z].*\?', lines[0]), "the first line asks the question"
    assert re.search(r"\d", run(script)), "the answer holds a number"


@pytest.mark.parametrize("name", ["when_does_batching_kill_it", "how_many_gpus_do_i_save"])
def test_verdict_of_a_draft_that_is_never_right(name: str) -> None:
    """Negative control: without acceptance the same lines must say that nothing is gained."""
    last = ["1", "0.0"] if name.startswith("when") else ["0.0", "100"]
    output = run(
        ROOT / "examples" / f"{name}.py", "Llama-3.1-8B", "Llama-3.2-1B", "H100-SXM", *last
    )
    verdict = output.splitlines()[-1]
    if name.startswith("when"):
        assert "pays up to batch 0; at 32,000 it pays up to batch 0." in verdict
    else:
        before, after = re.findall(r"(\d+)", verdict.split(":")[1])
        assert before == after


def test_no_draft_reaches_an_absurd_speedup() -> None:
    """Negative control: the verdict follows the wish."""
    script = ROOT / "examples" / "what_draft_should_i_train.py"
    output = run(script, "Llama-3.1-8B", "Llama-3.2-1B", "H100-SXM", "30", "500")
    assert output.splitlines()[-1].startswith("Verdict: no draft of the family reaches 30x")


def test_dearer_denoising_makes_diffusion_slower() -> None:
    script = ROOT / "examples" / "is_diffusion_worth_it.py"
    verdicts = [run(script, cost).splitlines()[-1] for cost in ("0.1", "20")]
    cheap, dear = (float(re.findall(r"\(([\d.]+)x\)", verdict)[0]) for verdict in verdicts)
    assert dear < cheap
    assert "diffusion does not pay" in verdicts[1]


def test_improvements_are_listed_by_what_they_buy() -> None:
    output = run(ROOT / "examples" / "which_improvement_pays.py")
    for block in output.split("\n\n")[1:]:
        gains = [float(found) for found in re.findall(r"([\d.]+) % more", block)]
        assert len(gains) == 6
        assert gains == sorted(gains, reverse=True)
