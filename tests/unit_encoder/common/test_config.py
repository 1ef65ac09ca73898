"""A wrong setting is named with what is allowed; a right one arrives with its type."""

from dataclasses import FrozenInstanceError, dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from encoder.common.config import apply_overrides, from_mapping, merge, read_toml, to_mapping
from encoder.errors import ConfigError


@dataclass(frozen=True)
class Inner:
    rate: float = 0.5
    kind: Literal["plain", "fancy"] = "plain"


@dataclass(frozen=True)
class Outer:
    name: str = "x"
    count: int = 1
    on: bool = False
    sizes: tuple[int, ...] = (1, 2)
    span: tuple[float, float] = (0.0, 1.0)
    limit: int | None = None
    either: int | str = 0
    level: Literal[1, 2] = 1
    extra: dict[str, Any] = field(default_factory=dict)
    inner: Inner = field(default_factory=Inner)


@dataclass(frozen=True)
class Required:
    path: str


GOOD = [
    ({}, Outer()),
    ({"inner": {"rate": 2}}, Outer(inner=Inner(rate=2.0))),
    ({"inner": {"kind": "fancy"}}, Outer(inner=Inner(kind="fancy"))),
    ({"sizes": [3, 4, 5]}, Outer(sizes=(3, 4, 5))),
    ({"sizes": []}, Outer(sizes=())),
    ({"span": [1, 2.5]}, Outer(span=(1.0, 2.5))),
    ({"limit": 7}, Outer(limit=7)),
    ({"limit": None}, Outer(limit=None)),
    ({"either": "a"}, Outer(either="a")),
    ({"either": 3}, Outer(either=3)),
    ({"extra": {"a": 1}}, Outer(extra={"a": 1})),
    ({"on": True, "name": "y", "level": 2}, Outer(on=True, name="y", level=2)),
]

BAD = [
    ({"cuont": 1}, ["'cuont'", "count, either, extra, inner, level, limit, name, on, sizes, span"]),
    ({"inner": {"rat": 1}}, ["'inner.rat'", "kind, rate"]),
    ({"inner": 3}, ["'inner'", "group", "3"]),
    ({"inner": {"rate": "fast"}}, ["'inner.rate'", "'fast'", "float"]),
    ({"inner": {"rate": True}}, ["'inner.rate'", "True"]),
    ({"inner": {"kind": "odd"}}, ["'inner.kind'", "'odd'", "plain, fancy"]),
    ({"level": 3}, ["'level'", "1, 2"]),
    ({"count": True}, ["'count'", "True", "whole number"]),
    ({"count": 1.0}, ["'count'", "1.0", "int"]),
    ({"count": "1"}, ["'count'", "'1'", "int"]),
    ({"on": 1}, ["'on'", "1", "bool"]),
    ({"name": 5}, ["'name'", "5", "str"]),
    ({"sizes": 3}, ["'sizes'", "3"]),
    ({"sizes": [1, "b"]}, ["'sizes'", "'b'"]),
    ({"sizes": "12"}, ["'sizes'", "'12'"]),
    ({"span": [1.0]}, ["'span'", "2 values"]),
    ({"limit": "many"}, ["'limit'", "'many'"]),
    ({"either": 1.5}, ["'either'", "1.5"]),
]


@pytest.mark.parametrize(("values", "expected"), GOOD)
def test_good_settings_and_back(values, expected):
    config = from_mapping(Outer, values)
    assert config == expected
    assert [type(v) for v in vars(config).values()] == [type(v) for v in vars(expected).values()]
    assert from_mapping(Outer, to_mapping(config)) == config
    with pytest.raises(FrozenInstanceError):
        config.count = 2


def test_a_group_keeps_the_defaults_of_where_it_stands():
    @dataclass(frozen=True)
    class Middle:
        inner: Inner = field(default_factory=lambda: Inner(rate=0.1))
        size: int = 1

    @dataclass(frozen=True)
    class Top:
        middle: Middle = field(default_factory=lambda: Middle(Inner(0.2, "fancy"), size=3))

    assert from_mapping(Middle, {"inner": {"kind": "fancy"}}) == Middle(Inner(0.1, "fancy"))
    assert from_mapping(Top, {"middle": {"size": 4}}).middle == Middle(Inner(0.2, "fancy"), 4)
    found = from_mapping(Top, {"middle": {"inner": {"kind": "plain"}}})
    assert found.middle == Middle(Inner(0.2, "plain"), 3)


@pytest.mark.parametrize(("values", "words"), BAD)
def test_bad_settings_are_named(values, words):
    with pytest.raises(ConfigError) as caught:
        from_mapping(Outer, values)
    for word in words:
        assert word in str(caught.value)


def test_missing_required_setting_is_named():
    with pytest.raises(ConfigError, match=r"'job\.path' is missing"):
        from_mapping(Required, {}, where="job.")


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("a=1", {"a": 1}),
        ("a = 1.5", {"a": 1.5}),
        ("a.b.c=true", {"a": {"b": {"c": True}}}),
        ("a=[1, 2]", {"a": [1, 2]}),
        ("a=hello", {"a": "hello"}),
        ("a=two words", {"a": "two words"}),
        ('a="quoted words"', {"a": "quoted words"}),
        ("a='12'", {"a": "12"}),
        ("a=it's", {"a": "it's"}),
        ("a=x=y", {"a": "x=y"}),
        ("a=", {"a": ""}),
        ("a=/tmp/a b/c.wav", {"a": "/tmp/a b/c.wav"}),
        ("a={b = 2}", {"a": {"b": 2}}),
    ],
)
def test_overrides(assignment, expected):
    assert apply_overrides({}, [assignment]) == expected


def test_overrides_keep_the_rest_and_the_original():
    original = {"a": {"b": 1, "c": 2}, "d": 3}
    assert apply_overrides(original, ["a.b=5", "a.b=6", "e.f=x"]) == {
        "a": {"b": 6, "c": 2}, "d": 3, "e": {"f": "x"},
    }  # fmt: skip
    assert original == {"a": {"b": 1, "c": 2}, "d": 3}


@pytest.mark.parametrize("assignment", ["novalue", "=3", " = 3", "d.x=1"])
def test_bad_overrides(assignment):
    with pytest.raises(ConfigError, match=assignment.partition("=")[0] or "a.b=value"):
        apply_overrides({"d": 3}, [assignment])


def test_read_toml(tmp_path):
    path = tmp_path / "a b.toml"
    path.write_text('count = 2\n[inner]\nkind = "fancy"\n')
    assert from_mapping(Outer, read_toml(path)) == Outer(count=2, inner=Inner(kind="fancy"))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())  # as Notepad saves it
    assert from_mapping(Outer, read_toml(path)) == Outer(count=2, inner=Inner(kind="fancy"))


@pytest.mark.parametrize("content", [b"a = ", b"a = 1\na = 2", b"\xff\xfe"])
def test_broken_toml_names_the_file(tmp_path, content):
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"bad\.toml.*not valid TOML"):
        read_toml(path)


NESTED = "[" * 3000 + "]" * 3000
DIGITS = "9" * 5000


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f"a = {NESTED}", "nested more than 20 deep"),
        (f"a = {'[' * 30}{']' * 30}", "nested more than 20 deep"),
        (f"a{'.a' * 3000} = 1", "nested more than 20 deep"),
        (f"[a{'.a' * 3000}]", "nested more than 20 deep"),
        (f"a = {DIGITS}", "a number in it has too many digits"),
    ],
)
def test_toml_that_is_too_much(tmp_path, text, sentence):
    path = tmp_path / "much.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=rf"much\.toml.*{sentence}"):
        read_toml(path)


def test_a_file_that_is_no_settings_at_all(tmp_path):
    path = tmp_path / "long.toml"
    path.write_bytes(b"#" * 1_000_001)
    for place in (path, *filter(Path.exists, [Path("/dev/zero")])):
        with pytest.raises(ConfigError, match=r"cannot use the config .* more than 1,000,000"):
            read_toml(place)
    path.write_bytes(b"#" * 1_000_000)
    assert read_toml(path) == {}


@pytest.mark.parametrize(
    ("assignment", "sentence"),
    [
        (f"inner.rate={NESTED}", "nested more than 20 deep"),
        (f"inner{'.rate' * 3000}=1", "nested more than 20 deep"),
        (f"inner.rate={DIGITS}", "too many digits"),
        (f"inner.rate={'9' * 400}", "'inner.rate' is a whole number of 400 digits: give a finite"),
        (f"inner.rate=0x{'f' * 5000}", "a whole number of 60.. digits"),
        (f"name=0x{'f' * 5000}", "a whole number of 60.. digits"),
        (f"inner=0x{'f' * 5000}", "a whole number of 60.. digits"),
        (f"span=[0x{'f' * 5000}]", "too much to be shown"),
    ],
)
def test_values_that_are_too_much(assignment, sentence):
    with pytest.raises(ConfigError, match=sentence) as caught:
        from_mapping(Outer, apply_overrides({}, [assignment]))
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("name", ["absent.toml", "."])
def test_unreadable_toml(tmp_path, name):
    with pytest.raises(ConfigError, match="cannot read the config"):
        read_toml(tmp_path / name)


def test_merged_groups_keep_what_is_not_said():
    below = {"a": {"b": {"c": 1, "d": 2}}, "e": {"f": 3}, "g": 4}
    over = {"a": {"b": {"c": 5}}, "e": 6, "g": {"h": 7}}
    merged = merge(below, over)
    assert merged == {"a": {"b": {"c": 5, "d": 2}}, "e": 6, "g": {"h": 7}}
    merged["a"]["b"]["d"] = 0
    assert below["a"]["b"] == {"c": 1, "d": 2}  # the groups are copies


def test_a_byte_order_mark_is_passed_over(tmp_path):
    (tmp_path / "c.toml").write_text("[inner]\r\nrate = 2.0\r\n", encoding="utf-8-sig")
    assert read_toml(tmp_path / "c.toml") == {"inner": {"rate": 2.0}}
