"""Presets: named choices of a segmenter, an embedder and the settings that go with them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from diarize.models.catalog import PUBLIC_MODELS, public_model
from diarize.models.user_config import config_file, read_user_config, write_user_config
from encoder.common.config import merge
from encoder.common.settings import shown_value
from encoder.errors import CheckpointError, ConfigError
from encoder.hub.paths import weights_named

__all__ = [
    "BEST",
    "CLIP_SETTINGS",
    "FAST",
    "PRESETS",
    "USERS",
    "Preset",
    "check_fetched",
    "find_preset",
    "models_of",
    "not_fetched",
    "set_default_preset",
    "user_preset",
    "with_preset",
]

FAST, BEST = "fast", "best"
USERS = "default"  # the name of whichever preset is the user's default
# What work on clips follows of a preset: its other settings are about recordings of several people.
CLIP_SETTINGS = ("embedder",)


@dataclass(frozen=True)
class Preset:
    """A named choice of models and settings.

    needs: the public models that must have been fetched. settings: those of a `DiarizeConfig` that
    differ from its defaults, nested as in a TOML file.
    """

    name: str
    help: str
    needs: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(FAST, "packaged networks, nothing to fetch"),
        Preset(
            BEST,
            "public models, fetched once",
            needs=("campplus", "pyannote-segmentation"),
            settings={"segmenter": "pyannote", "embedder": "campplus"},
        ),
    )
}


def find_preset(name: Any) -> Preset:
    """The preset of that name, or the user's default for the name "default"; ConfigError with
    those that exist."""
    if name == USERS:
        return user_preset()
    if not isinstance(name, str) or name not in PRESETS:
        raise ConfigError(f"unknown preset {shown_value(name)}: choose one of {', '.join(PRESETS)}")
    return PRESETS[name]


def user_preset() -> Preset:
    """The preset that the user has settled on; `fast` before that."""
    name = read_user_config().default_preset
    if name not in PRESETS:
        raise ConfigError(
            f"your default preset in {str(config_file())!r} is {name!r}: choose one of "
            f"{', '.join(PRESETS)} with `diarize models default NAME`"
        )
    return PRESETS[name]


def set_default_preset(name: str) -> None:
    """Make `name` the user's default, which all commands follow that name no preset.

    ConfigError if there is none of that name, CheckpointError if its models were not fetched,
    StoreError where it cannot be kept.
    """
    if name not in PRESETS:
        raise ConfigError(f"unknown preset {shown_value(name)}: choose one of {', '.join(PRESETS)}")
    check_fetched(name, dict(PRESETS[name].settings))
    write_user_config(replace(read_user_config(), default_preset=name))


def with_preset(
    values: Mapping[str, Any],
    *,
    preset: str | None = None,
    otherwise: str = FAST,
    only: Collection[str] | None = None,
) -> dict[str, Any]:
    """`values` over the settings of a preset, whose name they have as "preset" in the end.

    preset: beats the one that `values` name, which beats `otherwise`. only: the groups that are
    taken of the preset; all if None.
    """
    chosen = find_preset(preset or values.get("preset", otherwise))
    own = {key: value for key, value in chosen.settings.items() if only is None or key in only}
    return {**merge(own, values), "preset": chosen.name}


def not_fetched(preset: str, chosen: Mapping[str, Any] | None = None) -> list[str]:
    """The public models of a preset that have not been fetched; of those that `chosen` settings
    still name, where some are given."""
    needed = [public_model(name) for name in find_preset(preset).needs]
    if chosen is not None:
        needed = [model for model in needed if chosen.get(model.setting[0]) == model.setting[1]]
    return [model.name for model in needed if not weights_named(model.name)]


def check_fetched(preset: str, chosen: Mapping[str, Any]) -> None:
    """CheckpointError if a model of the preset that `chosen` settings name has not been fetched."""
    if missing := not_fetched(preset, chosen):
        raise CheckpointError(
            f"the preset {preset!r} needs {' and '.join(missing)}, not fetched so far: "
            f"run `diarize models fetch {preset}` once, or choose the preset {FAST!r}",
        )


def models_of(names: Iterable[str]) -> list[str]:
    """Names of public models and of presets -> the public models, each once; ConfigError with the
    names that exist."""
    groups = {preset.name: preset.needs for preset in PRESETS.values() if preset.needs}
    found: dict[str, None] = {}
    for name in names:
        if name not in groups and name not in PUBLIC_MODELS:
            known = ", ".join([*PUBLIC_MODELS, *groups])
            raise ConfigError(f"there is no public model {name!r}: choose from {known}")
        found |= dict.fromkeys(groups.get(name, (name,)))
    return list(found)
