"""At which batch does speculation stop paying, and does a long context bring it back?

From published shapes and hardware alone, nothing is measured: efficiencies are
assumed, so read trends, not digits. Arguments: target, draft, hardware, number
of devices, acceptance rate.

    python examples/when_does_batching_kill_it.py Llama-3.1-70B Llama-3.2-1B H100-SXM 4 0.75
"""

import sys

import numpy as np

from simulator.acceptance import expected_emitted_tokens
from simulator.hardware import known_hardware
from simulator.known_models import known_shape
from simulator.serving import Server, serving_speedup
from simulator.serving_limits import break_even_batch, fitting_batch
from simulator.stage_time import assumed_stage_time

GAMMA = 4
BATCHES = np.array([1, 8, 32, 64, 128, 256, 512])


def main(target: str, draft: str, hardware: str, devices: str, acceptance: str) -> None:
    machine = known_hardware(hardware).devices(int(devices))
    shapes = [known_shape(target), known_shape(draft)]
    server = Server(*(assumed_stage_time(shape, machine, "bfloat16") for shape in shapes))
    tau = float(expected_emitted_tokens(float(acceptance), GAMMA))
    print(f"{target} + {draft}, {machine.name}, γ = {GAMMA}, {tau:.2f} tokens a round")
    print("context   " + "".join(f"B={b:<6}" for b in BATCHES) + "breaks even at")
    ends = {}
    for context in (200, 2000, 8000, 32_000):
        gains = serving_speedup(server, GAMMA, tau, context, BATCHES)
        ends[context] = break_even_batch(server, GAMMA, tau, context)
        room = fitting_batch(machine, shapes, context)
        cells = [
            f"{g:.2f}{' ' if b <= room else '*':4}" for b, g in zip(BATCHES, gains, strict=True)
        ]
        print(f"{context:<10}" + "".join(cells) + str(ends[context] or "never"))
    print("* does not fit into memory")
    short, long = ends[200], ends[32_000]
    verdict = f"speculation pays up to batch {short - 1}" if short else "batching never kills it"
    after = f"up to batch {long - 1}" if long else "at every batch that fits"
    print(f"Verdict (assumed efficiencies): at 200 tokens {verdict}; at 32,000 it pays {after}.")


if __name__ == "__main__":
    main(*(sys.argv[1:] or ["Llama-3.1-8B", "Llama-3.2-1B", "H100-SXM", "1", "0.7"]))
