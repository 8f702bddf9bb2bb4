"""Which single improvement of my pair would pay most?

Reads the newest profile under a folder of records (default: the recorded data)
and changes one thing at a time: draft, acceptance, host, verification, target.
Each is judged by tokens per second at its own best number of drafts.

    python examples/which_improvement_pays.py runs
"""

import sys
from pathlib import Path

from measurements import DATA, load_profile, scan
from simulator.calibration import Calibration
from simulator.elasticities import speedup_elasticities
from simulator.improvements import CHANGES, acceptance_change, rank_improvements


def main(root: Path) -> None:
    path, record = next((p, r) for p, r in scan(root).profiles if r.complete)
    profile = load_profile(path)
    print(f"{record.target.name} + {record.draft.name}, {record.dtype}, {record.machine.slug}")
    for info in record.traces:
        mode = info.sampling.mode
        calibration = Calibration.from_tables(profile.stages, profile.trace(info.sampling), mode)
        scenario, resamples = calibration.scenario(4), calibration.resamples()
        room = 1.0 - scenario.trace.acceptance_rate
        changes = [*CHANGES, acceptance_change(scenario, min(0.05, room))]
        ranked = rank_improvements(scenario, changes, resamples=resamples)
        print(f"\n{info.sampling.label}: acceptance {scenario.trace.acceptance_rate:.2f}")
        for one in ranked:
            print(
                f"  {one.change.name:36}{100 * (one.gain - 1):5.1f} % more tokens/s "
                f"({100 * (one.gain_low - 1):.1f} to {100 * (one.gain_high - 1):.1f}), "
                f"γ = {one.num_draft_tokens}"
            )
        first, close = ranked[0], [i.change.name for i in ranked[1:] if i.close_to_best]
        most = speedup_elasticities(scenario, resamples=resamples)[0]
        print(
            f"Verdict: {first.change.name} pays most; cannot be told from it:"
            f" {', '.join(close) or 'nothing'}. One percent of {most.name} is"
            f" {most.value:+.2f} % of speedup at γ = 4."
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DATA)
