"""What can be watched here: the embedded pair, its methods, its prompts, and what was predicted?

Imports engine and profiler inside the functions, like ``watching``.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

import streamlit as st

from app.data import fingerprint_of, searched
from app.pair import PairOptions
from app.records import setting_of
from app.words import method_name
from measurements import ProfileRecord
from measurements.naming import pair_slug
from simulator import Prediction

if TYPE_CHECKING:
    from engine.model import Model
    from profiler.methods import Method

NUM_EXAMPLES = 8
DTYPE = PairOptions().dtype
Pair = tuple["Model", "Model"]


def missing() -> str | None:
    """What has to be installed before anything can be decoded; None if nothing."""
    for name in ("torch", "transformers", "tokenizers", "safetensors"):
        try:
            importlib.import_module(name)
        except ImportError as error:
            return f"{name} ({str(error).splitlines()[0]})"
    return None


@st.cache_resource(show_spinner="Loading the embedded pair …")
def load_pair() -> Pair:
    """Target and draft, shared by all visitors: one decode at a time runs on a device."""
    return PairOptions().load_pair()


@st.cache_data(show_spinner=False)
def examples() -> tuple[str, ...]:
    """Heads of held-out functions, for the model to go on with."""
    from engine.prompts import held_out_prompts

    return held_out_prompts().take(NUM_EXAMPLES).texts


def method_names() -> tuple[str, ...]:
    """Every way of decoding that ``compare`` knows, the plain one last."""
    from profiler.catalogue import NAMES

    plain = "autoregressive"
    return (*(name for name in NAMES if name != plain), plain)


def variants(pair: Pair, name: str) -> dict[str, Method]:
    """The settings of a method by their names, with drafters of their own.

    Raises
    ------
    InputError
        If the pair lacks a drafter that the method needs.
    """
    from profiler.catalogue import catalogue
    from profiler.methods import AUTOREGRESSIVE

    found = catalogue(*pair, (name,)) or [AUTOREGRESSIVE]
    return {method_name(one.name, one.parameters): one for one in found}


def prediction_here(
    profiles: Iterable[tuple[str, ProfileRecord]], pair: Pair, method: Method, sampling: str
) -> Prediction | None:
    """What the newest profile of this machine, pair and dtype says of a setting.

    Parameters
    ----------
    profiles : iterable of (str, ProfileRecord)
        Path and header, newest first.
    pair : (Model, Model)
    method : Method
    sampling : str
        Label.

    Returns
    -------
    Prediction or None
        None where no such profile has the setting.

    Raises
    ------
    RecordError, ValueError
        If the profile's tables cannot be used; one line.
    """
    from profiler.machine import fingerprint

    target, draft = pair
    here = (fingerprint(target.device).slug, pair_slug(target.name, draft.name), DTYPE)
    wanted = setting_of(method.name, method.parameters)
    for path, record in profiles:
        if (record.machine.slug, record.pair_slug, record.dtype) != here or not record.complete:
            continue
        known = searched(path, fingerprint_of(path))
        for one in known[sampling][1].candidates if sampling in known else []:
            if (one.method, one.parameters) == wanted:
                return one.prediction
    return None
