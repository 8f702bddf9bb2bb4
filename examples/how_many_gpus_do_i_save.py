"""How many GPUs does speculation save at a given load and latency objective?

Plays continuous batching out for one GPU at rising load, without speculation,
with a fixed number of drafts and with the best number for every batch, and asks
how many requests a second still meet the objectives. Efficiencies are assumed.
Arguments: target, draft, hardware, acceptance rate, requests per second.

    python examples/how_many_gpus_do_i_save.py Qwen3-14B Qwen3-0.6B H100-SXM 0.75 200
"""

import sys
from math import ceil

import numpy as np

from simulator.arrivals import poisson_requests
from simulator.hardware import known_hardware
from simulator.known_models import known_shape
from simulator.load import simulate_load
from simulator.round_table import prefill_seconds, tabulate_rounds
from simulator.serving import Server
from simulator.serving_limits import best_schedule
from simulator.stage_time import assumed_stage_time

PROMPT, OUTPUT, MAX_BATCH, DRAFTS = 500, 200, 128, 4
MAX_FIRST, MAX_PER_TOKEN, HOST = 1.0, 0.010, 1e-3  # seconds; objectives, host work per round
RATES = [2.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0]


def sustained(server: Server, schedule: np.ndarray, hazards: list[float]) -> float:
    """Highest rate at which 95 % of requests meet both objectives. [requests/s]"""
    table = tabulate_rounds(server, schedule, hazards, [0, 250, 500, 1000])
    prefill = prefill_seconds(server, PROMPT, drafting=bool(schedule.any()))
    met = 0.0
    for rate in RATES:
        rng = np.random.default_rng(0)
        requests = poisson_requests(rate, 500, PROMPT, OUTPUT, rng=rng)
        load = simulate_load(requests, table, prefill, rng=rng)
        share = load.goodput(MAX_FIRST, MAX_PER_TOKEN) * load.makespan / requests.number
        met = rate if share >= 0.95 else met
    return met


def main(target: str, draft: str, hardware: str, acceptance: str, wanted: str) -> None:
    shapes, card = [known_shape(target), known_shape(draft)], known_hardware(hardware)
    server = Server(*(assumed_stage_time(s, card, "bfloat16") for s in shapes), host_seconds=HOST)
    hazards = [float(acceptance)] * DRAFTS
    never, always = np.zeros(MAX_BATCH, dtype=int), np.full(MAX_BATCH, DRAFTS)
    best = best_schedule(server, hazards, PROMPT + OUTPUT / 2, MAX_BATCH)
    gpus: dict[str, object] = {}
    print(f"{target} + {draft}, {card.name}: requests/s per GPU within {MAX_PER_TOKEN:g} s a token")
    for name, schedule in (("no drafts", never), (f"γ = {DRAFTS}", always), ("γ by batch", best)):
        rate = sustained(server, schedule, hazards)
        gpus[name] = ceil(float(wanted) / rate) if rate else "no number of"
        print(f"{name:12}{rate:6g}   GPUs for {wanted}/s: {gpus[name]}")
    print(f"Verdict (assumed efficiencies): {gpus['no drafts']} GPUs become {gpus['γ by batch']}.")


if __name__ == "__main__":
    main(*(sys.argv[1:] or ["Llama-3.1-8B", "Llama-3.2-1B", "H100-SXM", "0.7", "100"]))
