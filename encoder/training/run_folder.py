"""The settings and the data of a run, kept in its folder: a stopped run goes on with the same.

`config.json` holds them. What a run may change on its way is where it runs and how often it writes;
anything else would make weights of two runs, of which the folder tells one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from encoder.common.atomic_files import replacing
from encoder.common.config import to_mapping
from encoder.errors import ConfigError

__all__ = ["check_same_run", "describe_data", "write_config"]

_DATA = "data"
_FREE = frozenset(("engine", "threads", "checkpoint_every_s", "selected_weights", "validate_every"))
_SHOWN = 3  # differences


def describe_data(utterances: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """What tells the data of a run from other data, of (speaker, name) of each utterance; where the
    corpus lies and in which order it is read does not matter."""
    pairs = sorted(utterances)
    digest = hashlib.sha256(json.dumps(pairs).encode()).hexdigest()
    speakers = len({speaker for speaker, _ in pairs})
    return {"speakers": speakers, "utterances": len(pairs), "digest": digest[:12]}


def check_same_run(out: Path, config: Any, data: Mapping[str, Any] | None = None) -> None:
    """ConfigError if `out` holds a run that has begun and is of other settings or other data.

    What only one of them knows (a setting that is newer than the run) does not count.
    """
    if not any(out.glob("*/last.pt")):
        return
    before = _read(out)
    now = dict(_flat(_stored(config, data)))
    changed = [
        f"{name} was {before[name]!r} and is {now[name]!r}"
        for name in now
        if name in before and before[name] != now[name] and not _is_free(name)
    ]
    if changed:
        more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        raise ConfigError(
            f"{str(out)!r} holds a run that was begun otherwise ({', '.join(changed[:_SHOWN])}"
            f"{more}): go on as it began, or choose another output folder"
        )


def write_config(out: Path, config: Any, data: Mapping[str, Any] | None = None) -> None:
    """Write what a run depends on to `out/config.json`, which was `plan.json` once."""
    with replacing(out / "config.json") as partial:
        partial.write_text(json.dumps(_stored(config, data), indent=1) + "\n", encoding="utf-8")
    (out / "plan.json").unlink(missing_ok=True)


def _stored(config: Any, data: Mapping[str, Any] | None) -> dict[str, Any]:
    return {**to_mapping(config), **({} if data is None else {_DATA: dict(data)})}


def _read(out: Path) -> dict[str, Any]:
    """Settings by dotted name; none where they cannot be read."""
    for name in ("config.json", "plan.json"):
        try:
            stored = json.loads((out / name).read_text(encoding="utf-8"))
            return dict(_flat(stored))
        except (OSError, ValueError, AttributeError, RecursionError):
            continue
    return {}


def _flat(values: Mapping[str, Any], where: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{where}{key}.")
        else:
            yield f"{where}{key}", list(value) if isinstance(value, tuple) else value


def _is_free(name: str) -> bool:
    return not _FREE.isdisjoint(name.split("."))
