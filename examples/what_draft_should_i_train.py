"""Which draft should I train: how small, and how often must it be right?

For a wanted speedup and every acceptance a draft might be trained to: the time
a draft call may take, the weights that can be read in it, and the deepest model
of a family that is fast enough. Efficiencies are assumed. Arguments: target,
family, hardware, wanted speedup, context.

    python examples/what_draft_should_i_train.py Llama-3.1-70B Llama-3.2-1B H200-SXM 2.5 1000
"""

import sys

from simulator.hardware import known_hardware
from simulator.known_models import known_shape
from simulator.required_draft import largest_draft, readable_parameters, required_draft_seconds
from simulator.serving import Server
from simulator.stage_time import assumed_stage_time

RATES = (0.5, 0.6, 0.7, 0.8, 0.9)
OVERHEAD = 2e-4  # seconds of launches per forward, assumed


def main(target: str, family: str, hardware: str, speedup: str, context: str) -> None:
    card, wanted, tokens = known_hardware(hardware), float(speedup), float(context)
    server = Server(
        *(
            assumed_stage_time(known_shape(name), card, "bfloat16", overhead_seconds=OVERHEAD)
            for name in (target, family)
        )
    )
    print(f"{target} on {card.name}, {wanted:g}x wanted, context {tokens:g}")
    print("acceptance   γ   ms per draft call   weights readable   deepest of the family")
    enough = []
    for rate in RATES:
        call = required_draft_seconds(server.target, rate, wanted, context=tokens)
        if not call.reachable:
            print(f"{rate:<13g}even a free draft gives at most {call.speedup:.2f}x")
            continue
        bound = readable_parameters(call.value, server.draft.bandwidth, 2.0, OVERHEAD)
        draft = largest_draft(server, rate, wanted, context=tokens)
        size = f"{draft.value / 1e6:.0f}M" if draft.reachable else "none"
        if draft.reachable:
            enough.append((rate, size))
        drafts = f"{call.num_draft_tokens:<4}"
        print(f"{rate:<13g}{drafts}{1e3 * call.value:<20.2f}{bound / 1e6:<8.0f}M         {size}")
    if not enough:
        print(f"Verdict: no draft of the family reaches {wanted:g}x at any of these acceptances.")
        return
    (low, least), (high, most) = enough[0], enough[-1]
    print(
        f"Verdict: {wanted:g}x takes {least} right in {low:.0%}, up to {most} right in {high:.0%}."
    )


if __name__ == "__main__":
    main(*(sys.argv[1:] or ["Llama-3.1-8B", "Llama-3.2-1B", "H100-SXM", "2", "500"]))
