"""A number out of its bounds is refused in one sentence, however it arrives."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from encoder.common.config import apply_overrides, from_mapping, read_toml
from encoder.common.settings import Settings, bounded, shown_value
from encoder.errors import ConfigError


@dataclass(frozen=True)
class Inner(Settings):
    step_s: float = bounded(0.5, least=0.01, most=30, help="between two")


@dataclass(frozen=True)
class Outer(Settings):
    share: float = bounded(0.1, least=0, below=1, help="of all")
    chance: float = bounded(0.5, above=0, below=1, help="that it is")
    count: int = bounded(3, least=1, most=1000, help="of them")
    limit: float | None = bounded(None, above=-1, most=1, help="a cosine")
    sizes: tuple[int, ...] = bounded((1, 2), least=1, most=9, help="of each")
    either: int | tuple[int, ...] = bounded(2, least=0, most=9, help="one or several")
    span_s: tuple[float, float] = bounded((0.1, 1.0), least=0, most=60, rising=True, help="range")
    inner: Inner = field(default_factory=Inner)


GOOD = [
    {"share": 0}, {"share": 0.999}, {"count": 1}, {"count": 1000}, {"limit": 1}, {"limit": None},
    {"sizes": [9, 1]}, {"sizes": []}, {"either": 0}, {"either": [0, 9]}, {"span_s": [2, 2]},
]  # fmt: skip

BAD = [
    ({"share": 1}, r"share is 1.*: give 0 or more and less than 1"),
    ({"share": 1e308}, r"share is 1e\+308: give 0 or more and less than 1"),
    ({"share": -1e-9}, "share is -1e-09: give"),
    ({"chance": 0.0}, r"chance is 0\.0: give more than 0 and less than 1"),
    ({"count": 0}, "count is 0: give 1 to 1,000"),
    ({"count": 10**9}, "count is 1000000000: give 1 to 1,000"),
    ({"count": 16**4000}, "count is a whole number of 4817 digits: give 1 to 1,000"),
    ({"limit": -1.0}, r"limit is -1\.0: give more than -1 and at most 1"),
    ({"sizes": (1, 10)}, r"sizes is \(1, 10\): give 1 to 9"),
    ({"sizes": (1,) * 101}, "give at most 100 values"),
    ({"either": (1, -1)}, r"either is \(1, -1\): give 0 to 9"),
    ({"span_s": (2.0, 1.0)}, r"span_s is \(2\.0, 1\.0\): give the smaller number first"),
]


@pytest.mark.parametrize("values", GOOD)
def test_what_is_within_is_kept(values):
    (name,) = values
    given = tuple(values[name]) if isinstance(values[name], list) else values[name]
    assert getattr(from_mapping(Outer, values), name) == given
    assert getattr(Outer(**{name: given}), name) == given


@pytest.mark.parametrize(("values", "sentence"), BAD, ids=[sentence for _, sentence in BAD])
def test_what_is_beyond_is_refused_alike(values, sentence):
    for make in (
        lambda: Outer(**values),
        lambda: replace(Outer(), **values),
        lambda: from_mapping(Outer, values),
    ):
        with pytest.raises(ConfigError, match=sentence):
            make()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_no_number_of_the_class_takes_what_is_not_finite(value):
    for name in ("share", "chance", "limit"):
        with pytest.raises(ConfigError, match=f"{name} is {value}"):
            Outer(**{name: value})
    with pytest.raises(ConfigError, match="span_s"):
        Outer(span_s=(0.0, value))


@pytest.mark.parametrize("value", ["0.5", None, True, [1]])
def test_python_code_is_told_of_a_value_that_is_no_number(value):
    with pytest.raises(ConfigError, match=r"share is .*: give a number, 0 or more"):
        Outer(share=value)
    with pytest.raises(ConfigError, match=r"count is .*: give a whole number, 1 to"):
        Outer(count=2.0 if value is None else value)


def test_numpy_numbers_are_numbers():
    assert Outer(share=np.float32(0.5), count=np.int64(7)).count == 7
    with pytest.raises(ConfigError, match="count is"):
        Outer(count=np.int64(0))


def test_a_group_is_named_where_the_number_came_from(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text("[inner]\nstep_s = 1e-9\n")
    for values in (read_toml(path), apply_overrides({}, ["inner.step_s=1e-9"])):
        with pytest.raises(ConfigError, match=r"^inner\.step_s is 1e-09: give 0\.01 to 30$"):
            from_mapping(Outer, values)


def test_values_in_errors_are_short():
    assert shown_value(0.5) == "0.5"
    assert shown_value("x" * 500) == "'" + "x" * 59 + "..."
    assert shown_value(-(10**4999)) == "a whole number of 5000 digits"
    assert shown_value([16**5000]) == "too much to be shown"
