"""A family of interchangeable backends, named by strings and imported only when chosen."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Mapping
from typing import Any

from encoder.common.config import from_mapping
from encoder.common.settings import shown_value
from encoder.errors import BackendUnavailable, ConfigError

__all__ = ["Registry"]


class Registry:
    """Names of one family of backends, each a "module:Class" string.

    The class named must carry a `Config` attribute: its frozen dataclass of settings.
    """

    def __init__(self, family: str, entries: dict[str, str]) -> None:
        self.family = family
        self._entries = dict(entries)

    def names(self) -> list[str]:
        """All registered names, in the order of registration."""
        return list(self._entries)

    def name_of(self, backend: type) -> str:
        """The name under which a class is registered; ConfigError if it is not."""
        target = f"{backend.__module__}:{backend.__qualname__}"
        for name, entry in self._entries.items():
            if entry == target:
                return name
        raise ConfigError(f"{target} is not registered as {self.family}: add it to the registry")

    def check(self, name: str) -> None:
        """ConfigError with the allowed names unless `name` is registered."""
        if name not in self._entries:
            raise ConfigError(
                f"unknown {self.family} {name!r}: choose one of {', '.join(self.names())}"
            )

    def load(self, name: str) -> Any:
        """Import and return the class registered as `name`.

        Raises ConfigError for an unknown name, BackendUnavailable if its import fails.
        """
        self.check(name)
        module_name, _, class_name = self._entries[name].partition(":")
        try:
            module = importlib.import_module(module_name)
        except (ImportError, OSError) as error:  # OSError: a shared library that does not load
            others = ", ".join(n for n in self.names() if n != name)
            raise BackendUnavailable(
                f"the {self.family} {name!r} needs a package that cannot be loaded ({error}): "
                f"install it{', or choose one of ' + others if others else ''}"
            ) from error
        return getattr(module, class_name)

    def build(self, name: str, groups: Mapping[str, Any], *, where: str) -> Any:
        """Make the backend `name` with its own group of settings, whose keys are checked.

        groups: settings by backend name, as in `where` of the configuration. Raises as `load` does,
        and ConfigError for a group or a key that does not exist.
        """
        backend = self.load(name)
        self.check_groups(groups, where=where)
        return backend(from_mapping(backend.Config, groups.get(name, {}), where=f"{where}.{name}."))

    def check_groups(self, groups: Mapping[str, Any], *, where: str) -> None:
        """ConfigError for a group, a key or a value that cannot be, also of backends that are not
        chosen: they are written into results. What cannot be loaded here is not looked at."""
        for group, values in groups.items():
            if group not in self._entries:
                raise ConfigError(
                    f"'{where}.{group}' is no group of settings: a setting is {where}.NAME.SETTING "
                    f"with one of the names {', '.join(self.names())}"
                )
            if not isinstance(values, Mapping):
                raise ConfigError(
                    f"'{where}.{group}' is a group of settings, not {shown_value(values)}: "
                    f"write {where}.{group}.NAME=value"
                )
            with contextlib.suppress(BackendUnavailable):
                from_mapping(self.load(group).Config, values, where=f"{where}.{group}.")
