"""What is shown, as a link: controls to and from the address, each default written once.

The first half knows nothing about Streamlit: a control parses and prints one
parameter of the address. The second half ties controls to widgets: the address
wins when a link was opened, the session when the reader moved between pages.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

Value = float | int | str | list[str]


@dataclass(frozen=True)
class Number:
    """A number in a range; whole when its default is an int."""

    name: str
    default: float | int
    low: float | int
    high: float | int

    def parse(self, text: str) -> float | int:
        """The value of an address parameter; ValueError naming value and bounds."""
        try:
            value = int(text) if isinstance(self.default, int) else float(text)
        except ValueError:
            kind = "a whole number" if isinstance(self.default, int) else "a number"
            raise ValueError(f"{self.name} = {text[:40]!r} is not {kind}") from None
        if not (math.isfinite(value) and self.low <= value <= self.high):
            raise ValueError(
                f"{self.name} = {value:g} is not between {self.low:g} and {self.high:g}"
            )
        return value

    def text(self, value: Value) -> str:
        """The value as it stands in the address."""
        assert isinstance(value, float | int)
        return f"{value:.12g}"


@dataclass(frozen=True)
class Choice:
    """One of several words."""

    name: str
    default: str
    options: tuple[str, ...]

    def parse(self, text: str) -> str:
        """The value of an address parameter; ValueError naming value and options."""
        if text not in self.options:
            known = ", ".join(self.options[:6]) + (", …" if len(self.options) > 6 else "")
            raise ValueError(f"{self.name} = {text[:60]!r} is not one of: {known}")
        return text

    def text(self, value: Value) -> str:
        """The value as it stands in the address."""
        return str(value)


@dataclass(frozen=True)
class Switch:
    """On or off."""

    name: str
    default: bool = False

    def parse(self, text: str) -> bool:
        """The value of an address parameter; ValueError naming value and options."""
        if text not in ("0", "1"):
            raise ValueError(f"{self.name} = {text[:40]!r} is neither 0 nor 1")
        return text == "1"

    def text(self, value: Value) -> str:
        """The value as it stands in the address."""
        return "1" if value else "0"


@dataclass(frozen=True)
class Several:
    """Any of several words, all of them unless told otherwise."""

    name: str
    options: tuple[str, ...]

    @property
    def default(self) -> list[str]:
        """Every option; a new list, since widgets keep what they are given."""
        return list(self.options)

    def parse(self, text: str) -> list[str]:
        """The value of an address parameter; ValueError naming value and options."""
        words = [] if text == NONE else text.split(",")
        for word in words:
            Choice(self.name, "", self.options).parse(word)
        return [word for word in self.options if word in words]

    def text(self, value: Value) -> str:
        """The value as it stands in the address."""
        assert isinstance(value, list)
        return ",".join(value) or NONE


@dataclass(frozen=True)
class Text:
    """A short text that ``check`` accepts; what it refuses, it refuses with a ValueError."""

    name: str
    default: str
    check: Callable[[str], object]
    longest: int = 400

    def parse(self, text: str) -> str:
        """The value of an address parameter; ValueError naming what is wrong with it."""
        if len(text) > self.longest:
            raise ValueError(f"{self.name} has {len(text)} characters, above {self.longest}")
        try:
            self.check(text)
        except ValueError as error:
            raise ValueError(f"{self.name} = {text[:40]!r}: {error}") from None
        return text

    def text(self, value: Value) -> str:
        """The value as it stands in the address."""
        return str(value)


NONE = "none"
Control = Number | Choice | Switch | Several | Text

ACCEPTANCE_RATE = Number("alpha", 0.8, 0.0, 1.0)
NUM_DRAFT_TOKENS = Number("gamma", 4, 1, 16)
COST_RATIO = Number("c", 0.1, 0.0, 1.0)
VERIFY_SLOPE = Number("verify", 0.02, 0.0, 0.3)
HOST_SHARE = Number("host", 0.03, 0.0, 0.8)
TEXT_SOURCE = Choice("text", "rate", ("rate", "trace"))
LOWER_RATE = Number("lower_alpha", 0.6, 0.0, 1.0)
LOWER_TOKENS = Number("lower", 3, 1, 8)
LOWER_COST = Number("lower_c", 0.05, 0.0, 1.0)
WANTED = Number("wanted", 2.0, 1.1, 6.0)
BATCH = Number("batch", 1, 1, 256)
CONTEXT = Number("context", 1000, 0, 32_768)
STAGING_SOURCE = Choice("numbers", "sliders", ("sliders", "record"))
LOSSLESS_ONLY = Switch("lossless")
CHAINS_ONLY = Switch("chains")
ALL_SETTINGS = Switch("all")
ALLOW_LOSSY = Switch("lossy")


def parse(
    address: Mapping[str, str], controls: Iterable[Control]
) -> tuple[dict[str, Value], list[str]]:
    """Values of all controls and one line for every parameter that was refused.

    Examples
    --------
    >>> parse({"gamma": "99"}, [NUM_DRAFT_TOKENS])
    ({'gamma': 4}, ['gamma = 99 is not between 1 and 16; showing 4 instead'])
    """
    values: dict[str, Value] = {}
    refused = []
    for control in controls:
        values[control.name] = control.default
        if control.name in address:
            try:
                values[control.name] = control.parse(address[control.name])
            except ValueError as error:
                shown = control.text(control.default) or "nothing"
                refused.append(f"{error}; showing {shown[:60]} instead")
    return values, refused


def address_of(values: Mapping[str, Value], controls: Iterable[Control]) -> dict[str, str]:
    """Address parameters of all values that differ from their defaults.

    Examples
    --------
    >>> address_of({"gamma": 6, "c": 0.1}, [NUM_DRAFT_TOKENS, COST_RATIO])
    {'gamma': '6'}
    """
    return {
        control.name: control.text(values[control.name])
        for control in controls
        if values[control.name] != control.default
    }


@dataclass
class Desk:
    """The controls of one page run: reads the address once, hands out widget keys, writes it."""

    page: str
    address: dict[str, str]
    followed: bool  # a link was opened (or the back button used) since the last run
    controls: dict[str, Control]

    @classmethod
    def open(cls, page: str) -> Desk:
        """Start a run of ``page``; compares the address with the one this session wrote."""
        address = {key: st.query_params[key] for key in st.query_params}
        st.session_state.setdefault("_values", {})
        last_page, last_address = st.session_state.get("_address", (None, None))
        same_page = page == last_page
        # Streamlit empties the address when the reader picks another page. While a slider
        # moves, the browser may still send an address that is one step behind: not a link.
        other = address != last_address and (same_page or bool(address))
        followed = last_page is None or (other and not _widget_moved())
        desk = cls(page, address, followed, {})
        st.session_state["_desk"] = desk
        return desk

    @staticmethod
    def current() -> Desk:
        """The desk that the entry file opened for this run."""
        return st.session_state["_desk"]

    def place(self, control: Control) -> str:
        """Give a control its value for this run; returns the key for its widget."""
        kept: dict[str, Value] = st.session_state["_values"]
        key = f"control_{control.name}"
        if self.followed:
            values, refused = parse(self.address, [control])
            kept.update(values)
            st.session_state[key] = values[control.name]
            for line in refused:
                st.warning(f"The address was not understood: {line}.", icon=":material/link_off:")
        elif key in st.session_state and st.session_state[key] is not None:
            kept[control.name] = st.session_state[key]
        _, unusable = parse({control.name: control.text(kept.get(control.name, control.default))},
                            [control])  # fmt: skip
        if unusable:
            kept[control.name] = control.default
        st.session_state[key] = kept.setdefault(control.name, control.default)
        self.controls[control.name] = control
        return key

    def refresh(self, control: Control) -> Any:
        """The value of a placed control after its widget was drawn."""
        drawn = st.session_state[f"control_{control.name}"]
        if drawn is not None:
            st.session_state["_values"][control.name] = drawn
        return st.session_state["_values"][control.name]

    def typed(self, control: Text, label: str, height: int = 160) -> str:
        """A box to type in; what is refused stays in the box, and the last good text counts."""
        kept, key = self.place(control), f"typed_{control.name}"
        if self.followed or key not in st.session_state:
            st.session_state[key] = st.session_state[kept]
        st.text_area(label, key=key, height=height)
        try:
            st.session_state[kept] = control.parse(st.session_state[key].strip())
        except ValueError as error:
            st.error(f"Not used: {error}.", icon=":material/block:")
        return str(self.refresh(control))

    def close(self) -> None:
        """Write the address of what is now shown, so that it can be copied as a link."""
        address = address_of(st.session_state["_values"], self.controls.values())
        if address != self.address:
            st.query_params.from_dict(address)
        st.session_state["_address"] = (self.page, address)


def _widget_moved() -> bool:
    """Whether this run was caused by a control rather than by the address."""
    kept: dict[str, Value] = st.session_state["_values"]
    return any(
        st.session_state.get(f"control_{name}", value) != value for name, value in kept.items()
    )
