"""Is a diffusion drafter worth it, against the best chain of my draft model?

A denoising step costs the same for any number of drafts, but its drafts are
kept less often. Kept shares come from the card of the embedded diffusion drafter
(other prompts than the profile's), everything else from the newest profile at
temperature 0. Arguments: cost of a denoising step in draft calls (an assumption,
1 by default), folder of records.

    python examples/is_diffusion_worth_it.py 0.5 runs
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

from measurements import DATA, load_profile, scan
from simulator.calibration import Calibration
from simulator.optimise import best_num_draft_tokens
from simulator.scenario import Scenario, predict

CARD = Path(__file__).parents[1] / "engine" / "zoo" / "python-diffusion" / "drafter.json"


def undrafted(scenario: Scenario, gamma: int) -> float:
    """Seconds of a round of gamma drafts without drafting them."""
    stages = predict(replace(scenario, num_draft_tokens=gamma)).round_seconds_by_stage
    return sum(t for stage, t in stages.items() if stage not in ("draft", "draft_sampling"))


def main(step_cost: float, root: Path) -> None:
    path, record = next((p, r) for p, r in scan(root).profiles if r.complete)
    info = next(t for t in record.traces if t.sampling.temperature == 0)
    profile = load_profile(path)
    calibration = Calibration.from_tables(profile.stages, profile.trace(info.sampling), "greedy")
    scenario = calibration.scenario(4)
    call = float(calibration.draft_call.seconds(1, scenario.trace.cached.mean()))
    best = best_num_draft_tokens(scenario).best
    rate = best.speedup.L2 / best.autoregressive_seconds
    plain = f"{record.target.name}: chain of {record.draft.name}, γ = {best.num_draft_tokens}"
    print(f"{plain}, {best.tau.L2:.2f} tokens a round, {best.speedup.L2:.2f}x")
    print("steps   γ   tokens a round   speedup   pays if a step costs less than")
    fastest = 0.0
    card = json.loads(CARD.read_text())["training"]
    for steps, kept in card["kept_by_position_at_temperature_0"].items():
        taus = [1.0 + sum(kept[:gamma]) for gamma in range(1, len(kept) + 1)]
        rests = [undrafted(scenario, gamma) for gamma in range(1, len(kept) + 1)]
        rates = [t / (r + int(steps) * step_cost * call) for t, r in zip(taus, rests, strict=True)]
        room = max(t / rate - r for t, r in zip(taus, rests, strict=True)) / int(steps)
        place = rates.index(max(rates))
        fastest = max(fastest, speedup := rates[place] * best.autoregressive_seconds)
        answer = f"{room / call:.3f} draft calls" if room > 0 else "never: even free steps lose"
        print(f"{steps:<8}{place + 1:<4}{taus[place]:<17.2f}{speedup:<10.2f}{answer}")
    verdict = "pays" if fastest > best.speedup.L2 else "does not pay"
    print(f"Verdict: at {step_cost:g} draft calls a step, diffusion {verdict} ({fastest:.2f}x).")


if __name__ == "__main__":
    cost, folder = [*sys.argv[1:], *["1", DATA][len(sys.argv) - 1 :]]
    main(float(cost), Path(folder))
