"""Frozen dataclasses as schema, defaults and help; TOML and `a.b=c` as the ways to change them.

A config class declares its knobs as `encoder.common.settings` says. Unknown keys are refused with
the list of allowed ones, so that a typing mistake is never a silent default.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import sys
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from encoder.common.settings import check_numbers, shown_value
from encoder.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["apply_overrides", "from_mapping", "merge", "read_toml", "to_mapping"]

ConfigT = TypeVar("ConfigT")

_LARGEST = 1_000_000  # bytes of a file
_DEEPEST = 20  # groups inside each other
_TOO_DEEP = f"it is nested more than {_DEEPEST} deep"


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read a TOML file into nested dicts; ConfigError if it is missing or malformed."""
    path = Path(path)
    try:
        with path.open("rb") as handle:  # no more of it, whatever it is
            content = handle.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise _UnusableError(f"it has more than {_LARGEST:,} bytes")
        return _parse(content.decode("utf-8-sig"))
    except OSError as error:
        raise ConfigError(
            f"cannot read the config {str(path)!r} ({error.strerror}): give the path of a TOML file"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"the config {str(path)!r} is not valid TOML: {error}") from error
    except _UnusableError as error:
        raise ConfigError(f"cannot use the config {str(path)!r}: {error}") from error


class _UnusableError(ValueError):
    """TOML that is valid, but no settings of anything."""


def _parse(text: str) -> dict[str, Any]:
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except ValueError as error:  # Python reads no whole number of more than 4,300 digits
        raise _UnusableError("a number in it has too many digits") from error
    except RecursionError as error:
        raise _UnusableError(_TOO_DEEP) from error
    level: list[Any] = [values]
    for _ in range(_DEEPEST):
        inside = (v.values() if isinstance(v, dict) else v for v in level)
        level = [v for group in inside for v in group if isinstance(v, (dict, list))]
    if level:
        raise _UnusableError(_TOO_DEEP)
    return values


def from_mapping(
    schema: type[ConfigT],
    values: Mapping[str, Any],
    *,
    where: str = "",
    base: ConfigT | None = None,
) -> ConfigT:
    """Build the frozen dataclass `schema` from nested `values`, checking names and types.

    What is left out is as in `base`, by default as in the schema. So what a group leaves out is as
    in the default of that group, which may differ from the defaults of the group's own class.
    """
    hints = typing.get_type_hints(schema)
    allowed = {f.name for f in dataclasses.fields(schema)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - allowed)
    if unknown:
        raise ConfigError(
            f"unknown setting {where + unknown[0]!r}: allowed here are {', '.join(sorted(allowed))}"
        )
    built = {}
    for f in dataclasses.fields(schema):  # type: ignore[arg-type]
        if f.name in values:
            group = _default_group(f) if base is None else getattr(base, f.name)
            built[f.name] = _convert(hints[f.name], values[f.name], where + f.name, group)
    if base is not None:
        check_numbers(schema, built, where=where)
        return dataclasses.replace(base, **built)  # type: ignore[type-var]
    for f in dataclasses.fields(schema):  # type: ignore[arg-type]
        default = (f.default, f.default_factory) != (dataclasses.MISSING, dataclasses.MISSING)
        if f.init and not default and f.name not in built:
            raise ConfigError(f"the setting {where + f.name!r} is missing: it has no default")
    check_numbers(schema, built, where=where)
    return schema(**built)


def _default_group(field: dataclasses.Field[Any]) -> Any:
    return None if field.default_factory is dataclasses.MISSING else field.default_factory()


def to_mapping(config: Any) -> dict[str, Any]:
    """The nested plain-dict form of a config, ready for JSON or TOML; inverse of `from_mapping`."""
    return dataclasses.asdict(config)


def apply_overrides(values: Mapping[str, Any], assignments: Iterable[str]) -> dict[str, Any]:
    """Apply `a.b=c` assignments to nested `values`; c is read as a TOML value, else as text."""
    result = _deep_copy(values)
    for assignment in assignments:
        key, sign, text = assignment.partition("=")
        if not sign or not key.strip():
            raise ConfigError(f"cannot read the setting {assignment!r}: write it as a.b=value")
        *parents, last = key.strip().split(".")
        if len(parents) > _DEEPEST:
            raise ConfigError(f"cannot use the setting {shown_value(key)}: {_TOO_DEEP}")
        node = result
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise ConfigError(f"cannot set {key!r}: {parent!r} is a value, not a group")
        node[last] = _parse_value(text.strip())
    return result


def merge(values: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Nested `values` with those of `over` in their place; of a group, what `over` leaves out
    stays."""
    result = _deep_copy(values)
    for key, value in over.items():
        below = result.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            value = merge(below, value)
        result[key] = value
    return result


def _parse_value(text: str) -> Any:
    try:
        return _parse(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        return text
    except _UnusableError as error:
        raise ConfigError(f"cannot use the value {shown_value(text)}: {error}") from error


def _deep_copy(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: _deep_copy(v) if isinstance(v, Mapping) else v for k, v in values.items()}


def _convert(hint: Any, value: Any, where: str, default: Any = None) -> Any:
    """Check `value` against a type hint of the few kinds configs use, converting list to tuple.

    default: of the setting; a group takes from it what `value` leaves out.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise ConfigError(
                f"{where!r} is a group of settings, not the value {shown_value(value)}"
            )
        base = default if isinstance(default, hint) else None  # type: ignore[arg-type]
        return from_mapping(hint, value, where=where + ".", base=base)  # type: ignore[arg-type]
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in arguments:
            return None
        *others, last = [a for a in arguments if a is not type(None)]
        for option in others:
            with contextlib.suppress(ConfigError):
                return _convert(option, value, where, default)
        return _convert(last, value, where, default)
    if origin is typing.Literal:
        if value not in arguments:
            raise ConfigError(
                f"{where!r} is {shown_value(value)}: choose one of {', '.join(map(str, arguments))}"
            )
        return value
    if origin is tuple and isinstance(value, (list, tuple)):
        if arguments[-1] is Ellipsis:
            arguments = arguments[:1] * len(value)
        if len(value) != len(arguments):
            raise ConfigError(f"{where!r} is {shown_value(value)}: give {len(arguments)} values")
        return tuple(_convert(a, item, where) for a, item in zip(arguments, value, strict=True))
    if origin is dict and isinstance(value, Mapping):
        return dict(value)
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:  # a whole number beyond them all
            number = math.inf
        if not math.isfinite(number):
            raise ConfigError(f"{where!r} is {shown_value(value)}: give a finite number")
        return number
    if isinstance(hint, type) and isinstance(value, hint):
        if hint is int and isinstance(value, bool):
            raise ConfigError(f"{where!r} is {shown_value(value)}: give a whole number")
        return value
    if hint is Any:
        return value
    name = getattr(hint, "__name__", str(hint))
    raise ConfigError(f"{where!r} is {shown_value(value)}: give a value of type {name}")
