"""Where models come from: a path, `$DIARIZE_HOME`, the user's cache, then the package."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from pathlib import Path

from encoder.errors import CheckpointError

__all__ = [
    "DEFAULT",
    "OWN_FOLDER",
    "calibration_folders",
    "find_onnx",
    "find_weights",
    "own_weights",
    "user_cache",
    "user_config",
    "user_data",
    "weights_named",
]

DEFAULT = "deepspeaker-small"
OWN_FOLDER = "deepspeaker-diarize"  # in the user's cache, settings and data
FETCHED = ("campplus", "pyannote-segmentation")  # names that `diarize models fetch` knows


def find_weights(name_or_path: str | Path = DEFAULT) -> Path:
    """Path of the weights file for a model name, or the path itself if it is one.

    A name matches `NAME-HASH.safetensors`; the first folder that has it wins.
    CheckpointError lists the folders that were searched.
    """
    path = _expand(name_or_path)
    if path.suffix == ".safetensors" or len(path.parts) > 1:
        if not path.is_file():
            raise CheckpointError(f"there is no weights file {str(path)!r}: check the path")
        return path
    found = weights_named(path.name)
    if len(found) > 1:
        raise CheckpointError(
            f"{str(found[0].parent)!r} holds {len(found)} versions of {path.name!r}: "
            f"{_fetching(path.name) or 'give the path of one'}"
        )
    if found:
        return found[0]
    raise CheckpointError(
        f"there are no weights named {path.name!r} in {', '.join(map(str, _folders()))}: "
        f"{_fetching(path.name) or f'give a path, or the name {DEFAULT!r}'}"
    )


def weights_named(name: str, *, own: bool = False) -> list[Path]:
    """The files `NAME-HASH.safetensors` of the first folder that has any; `own` leaves out the
    package's folder."""
    for folder in _folders()[: -1 if own else None]:
        found = sorted(f for f in folder.glob("*.safetensors") if _is_version_of(name, f.stem))
        if found:
            return found
    return []


def find_onnx(name_or_path: str | Path) -> Path:
    """Path of the ONNX model `NAME.onnx`, or the path itself if it is one.

    A name is looked for in `$DIARIZE_HOME`, then in the user's cache. CheckpointError lists both.
    """
    path = _expand(name_or_path)
    if path.suffix == ".onnx" or len(path.parts) > 1:
        if not path.is_file():
            raise CheckpointError(f"there is no ONNX model {str(path)!r}: check the path")
        return path
    folders = _own_folders()
    for folder in folders:
        if (found := folder / f"{path.name}.onnx").is_file():
            return found
    step = "give a path"
    if path.name in FETCHED:
        step = f"{_fetching(path.name)}, and leave out `onnx:`"
    raise CheckpointError(
        f"there is no ONNX model named {path.name!r} in {', '.join(map(str, folders))}: {step}"
    )


def calibration_folders() -> list[Path]:
    """Where calibrations are looked for, first come first served."""
    return _folders()


def own_weights() -> Path:
    """The folder for the user's own weights and calibrations, which come before all others; not
    created here. `$DIARIZE_HOME/weights` if set, else in the cache. RuntimeError without a home.
    """
    home = os.environ.get("DIARIZE_HOME")
    return (Path(home).expanduser() if home else user_cache()) / "weights"


def user_cache() -> Path:
    """The folder for this toolkit's cached files; not created here. RuntimeError without a home."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / OWN_FOLDER


def user_config() -> Path:
    """The folder for what the user has settled on for this toolkit; not created here.

    `$DIARIZE_HOME` if set. RuntimeError without a home.
    """
    if chosen := os.environ.get("DIARIZE_HOME"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("APPDATA") or Path.home() / "AppData/Roaming")
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Application Support"
    else:
        base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return base / OWN_FOLDER


def user_data() -> Path:
    """The folder for what the user has given this toolkit; not created here.

    `$DIARIZE_HOME` if set. RuntimeError without a home.
    """
    if chosen := os.environ.get("DIARIZE_HOME"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    return base / OWN_FOLDER


def _folders() -> list[Path]:
    return [*(f / "weights" for f in _own_folders()), Path(__file__).parents[1] / "weights"]


def _own_folders() -> list[Path]:
    """The user's own: `$DIARIZE_HOME` if set, then the cache."""
    home = os.environ.get("DIARIZE_HOME")
    chosen = [Path(home).expanduser()] if home else []
    with contextlib.suppress(RuntimeError):  # a service's user may have no home
        chosen.append(user_cache())
    return chosen


def _fetching(name: str) -> str:
    return f"fetch it with `diarize models fetch {name}`" if name in FETCHED else ""


def _expand(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    with contextlib.suppress(RuntimeError):  # "~nobody" stays as it is, and will not be found
        path = path.expanduser()
    return path


def _is_version_of(name: str, stem: str) -> bool:
    return re.fullmatch(re.escape(name) + "-[0-9a-f]{8}", stem) is not None
