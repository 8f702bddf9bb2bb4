"""Start a vLLM server on several devices: its arguments, and threads that are alike on a CPU."""

import os
from dataclasses import replace

from engine.errors import InputError
from profiler.vllm_server import Served

THREADS_VARIABLE = "VLLM_CPU_OMP_THREADS_BIND"
"""CPUs of vLLM's workers, a group for each; GPUs do not look at it."""


def on_devices(served: Served, degree: int, most: int | None = None) -> Served:
    """The same model, every layer split over so many devices.

    Parameters
    ----------
    served : Served
    degree : int, >= 1
        Tensor-parallel devices. vLLM gives a draft model the same.
    most : int, >= degree, optional
        Devices of the largest server it is compared with: on a CPU, where a worker stands for a
        device, every worker gets as many threads as it can have there. None leaves threads to
        vLLM, which wants a memory node for every worker. What the user has set stays.

    Raises
    ------
    InputError
        If the degree is below 1 or above the most.

    Examples
    --------
    >>> on_devices(Served("python-13m"), 2).arguments
    ('--tensor-parallel-size', '2')
    """
    if degree < 1 or (most is not None and degree > most):
        raise InputError(f"tensor-parallel devices must be in 1 to {most or 'many'}, not {degree}")
    arguments = ("--tensor-parallel-size", str(degree)) if degree > 1 else ()
    threads = () if most is None else worker_threads(degree, most)
    return replace(
        served,
        arguments=(*served.arguments, *arguments),
        environment=(*served.environment, *threads),
    )


def worker_threads(degree: int, most: int) -> tuple[tuple[str, str], ...]:
    """Environment that gives every worker as many CPUs as it has where there are ``most``.

    Empty where there are fewer CPUs than workers, as beside GPUs there may be, and where the
    user has said it.
    """
    allowed = sorted(os.sched_getaffinity(0))
    each = len(allowed) // most
    if not each or THREADS_VARIABLE in os.environ:
        return ()
    groups = [allowed[worker * each : (worker + 1) * each] for worker in range(degree)]
    return ((THREADS_VARIABLE, "|".join(",".join(map(str, group)) for group in groups)),)
