"""How many tokens should my draft propose per round?

Reads the newest profile under a folder of records (default: the recorded data)
and answers from the measured trace and stage times alone; nothing is decoded.

    python examples/best_gamma.py runs
"""

import sys
from pathlib import Path

from measurements import DATA, load_profile, scan
from simulator.calibration import Calibration
from simulator.optimise import best_num_draft_tokens


def main(root: Path) -> None:
    path, record = next((p, r) for p, r in scan(root).profiles if r.complete)
    profile = load_profile(path)
    print(f"{record.target.name} + {record.draft.name}, {record.dtype}, {record.machine.slug}")
    for info in record.traces:
        mode = info.sampling.mode
        trace = profile.trace(info.sampling)
        calibration = Calibration.from_tables(profile.stages, trace, mode)
        optimum = best_num_draft_tokens(
            calibration.scenario(1), range(1, 17), resamples=calibration.resamples()
        )
        best = optimum.best
        others = ", ".join(str(g) for g in optimum.indistinguishable or ()) or "none"
        print(
            f"{info.sampling.label}: γ = {best.num_draft_tokens}, predicted {best.speedup.L2:.2f}× "
            f"(90 % {best.speedup_low:.2f}–{best.speedup_high:.2f}); cannot be told apart: {others}"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DATA)
