"""What a speaker may be called.

Names of any script, with spaces. They become lines of RTTM and folders, and must not be taken for
what the toolkit makes itself (`SPEAKER_00`, `VOICE_0001`).
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable

from diarize.core.text import printable
from encoder.common.names import name_key
from encoder.errors import ConfigError

__all__ = ["LONGEST", "clean_name", "fold_name", "nearest_names", "shown", "unknown_name"]

LONGEST = 80
_OWN = re.compile(r"(SPEAKER|VOICE)_\d+|UNKNOWN", re.IGNORECASE)
_SHOWN = 24


def clean_name(text: str) -> str:
    """The name that is stored for `text`: composed (NFC), outer blanks trimmed, inner ones single.

    ConfigError says what to change.
    """
    name = name_key(text).strip()
    name = "".join(" " if unicodedata.category(c) == "Zs" else c for c in name)
    name = re.sub(" +", " ", name)
    fault = _fault(name)
    if fault:
        raise ConfigError(f"the name {shown(text)} {fault}")
    return name


def _fault(name: str) -> str | None:
    if not any(unicodedata.category(c)[0] in "LN" for c in name):
        return "has no letter or digit: give one that can be read"
    if len(name) > LONGEST:
        return f"has {len(name)} characters: give at most {LONGEST}"
    if printable(name) != name:  # it would hide or turn text around
        return "holds a character that cannot be printed: leave it out"
    if "/" in name or "\\" in name:
        return "holds a slash: leave it out, because names become folders"
    if name[0] in "-.":
        return f"starts with {name[0]!r}: begin it with a letter or digit"
    if _OWN.fullmatch(name):
        return "is of the kind that the toolkit gives itself: choose another"
    return None


def fold_name(name: str) -> str:
    """Equal for names that a reader would take for one: whatever their case and composition, and
    with a blank or the "_" that RTTM writes for it."""
    folded = name_key(name_key(name.strip()).casefold())
    return folded.replace(" ", "_")


def unknown_name(number: int) -> str:
    """What an unknown speaker is called: 7 -> VOICE_0007."""
    return f"VOICE_{number:04d}"


def nearest_names(name: str, names: Iterable[str], *, most: int = 3) -> list[str]:
    """Those of `names` that `name` may be a slip of, the nearest first."""
    by_fold = {fold_name(known): known for known in names}
    return [by_fold[near] for near in difflib.get_close_matches(fold_name(name), by_fold, most)]


def shown(name: str) -> str:
    """The name in quotes, shortened if it is long."""
    return repr(name if len(name) <= _SHOWN + 3 else f"{name[:_SHOWN]}...")
