"""The counted calls of a decode are what the decoding loop must have done."""

import json
from pathlib import Path

from engine.sampling import Sampling
from profiler.measure import measure
from profiler.methods import chain
from profiler.run import ProfilePlan
from profiler.run_log import RunLog
from tests.tiny_models import tiny_pair

PROMPT = [5, 9, 2, 7]


def test_calls_of_a_chain_and_of_plain_decoding(tmp_path: Path) -> None:
    target, draft = tiny_pair()
    plan = ProfilePlan((Sampling(),), new_tokens=20)
    path = tmp_path / "decodes.jsonl"
    plain, chained = measure(target, [PROMPT], plan, [chain(draft, 3)], log=RunLog(path, {}))
    [alone] = plain.calls
    # tokens cached: the prompt but its last, then one more every step
    assert alone == ("target", 1, 20, sum(range(3, 23)) / 20)
    verified = sum(c.num_tokens * c.number for c in chained.calls if c.stage == "target")
    assert verified == chained.num_drafted + chained.num_rounds
    assert sum(c.number for c in chained.calls if c.stage == "target") == chained.num_rounds
    drafted = sum(c.number for c in chained.calls if c.stage == "draft")
    assert drafted == chained.num_drafted  # one call a token
    assert {c.num_tokens for c in chained.calls if c.stage == "draft"} <= {1, 2}
    again = measure(target, [PROMPT], plan, [chain(draft, 3)], log=RunLog(path, {}))
    assert [run.calls for run in again] == [plain.calls, chained.calls]


def test_a_log_without_calls_is_still_read(tmp_path: Path) -> None:
    target, draft = tiny_pair()
    plan = ProfilePlan((Sampling(),), new_tokens=8)
    path = tmp_path / "decodes.jsonl"
    measure(target, [PROMPT], plan, [chain(draft, 3)], log=RunLog(path, {}))
    first, line = (json.loads(text) for text in path.read_text().splitlines())
    for run in line["runs"]:
        del run["calls"]
    path.write_text("".join(json.dumps(one) + "\n" for one in (first, line)))
    runs = measure(target, [PROMPT], plan, [chain(draft, 3)], log=RunLog(path, {}))
    assert [run.calls for run in runs] == [(), ()]
