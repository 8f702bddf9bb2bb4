"""How measuring work tells where it is; who shows it is not its business."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One unit of work done.

    Attributes
    ----------
    what : str
        What was just worked on, for people.
    done, total : int
        Units of the whole job.
    """

    what: str
    done: int
    total: int


Report = Callable[[Step], None]


def silent(step: Step) -> None:
    """Report to nobody."""
