"""What the user has settled on: one small TOML file in the user's config folder.

    default_preset = "best"

The command line reads it; the library only for the preset named "default".
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path

from encoder.common.atomic_files import replacing
from encoder.common.config import from_mapping, read_toml
from encoder.common.settings import Settings
from encoder.errors import ConfigError
from encoder.hub.paths import user_config

__all__ = ["UserConfig", "config_file", "read_user_config", "write_user_config"]


@dataclass(frozen=True)
class UserConfig(Settings):
    """The user's own choices.

    Args:
        default_preset: the preset of commands that are given none.
    """

    default_preset: str = field(default="fast", metadata={"help": "of commands that name none"})


def config_file() -> Path:
    """Where the choices are kept. ConfigError for a user without a home."""
    try:
        return user_config() / "config.toml"
    except RuntimeError:
        raise ConfigError(
            "there is no home folder for your choices: let DIARIZE_HOME name a folder for them"
        ) from None


def read_user_config() -> UserConfig:
    """The user's choices; the defaults where none are kept. ConfigError for a damaged file, with
    the keys that exist for one that does not."""
    try:
        path = user_config() / "config.toml"
    except RuntimeError:  # a service's user may have no home
        return UserConfig()
    if not path.exists():
        return UserConfig()
    try:
        return from_mapping(UserConfig, read_toml(path))
    except ConfigError as error:
        raise ConfigError(
            f"your choices in {str(path)!r} cannot be used, so correct or delete that file: {error}"
        ) from error


def write_user_config(config: UserConfig) -> Path:
    """Keep these choices, all or none, and return the file. StoreError where it cannot be
    written."""
    path = config_file()
    lines = [f'{known.name} = "{getattr(config, known.name)}"' for known in fields(config)]
    with replacing(path, what="your choices ") as partial:
        partial.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return path
