"""What machine is this? The context every measurement carries."""

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from measurements import Machine


def fingerprint(device: torch.device) -> Machine:
    """Describe the machine and the software that a measurement on device ran with."""
    cuda = device.type == "cuda"
    cpu = _cpu_name()
    accelerator = torch.cuda.get_device_name(device) if cuda else None
    name = accelerator or f"{cpu} {os.cpu_count()} cores"
    return Machine(
        slug=re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-"),
        device="cuda" if cuda else "cpu",
        cpu=cpu,
        cores=os.cpu_count() or 1,
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        accelerator=accelerator,
        driver=_driver() if cuda else None,
        os=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        torch=torch.__version__,
        transformers=version("transformers"),
        numpy=np.__version__,
        threads=torch.get_num_threads(),
    )


def source_commit() -> str | None:
    """Commit of the checkout this code runs from; None outside a checkout."""
    return _output("git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD")


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _driver() -> str | None:
    return _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")


def _output(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip().splitlines()[0] if done.stdout.strip() else None
