"""Every error this toolkit raises on purpose.

    ToolkitError
    ├── ConfigError          a setting, flag or TOML key that cannot be used
    ├── AudioError           a media file that cannot be read as sound
    ├── CheckpointError      weights that are missing, damaged or of another architecture
    ├── BackendUnavailable   a backend whose package is not installed or cannot be loaded
    ├── FormatError          an RTTM, UEM, JSON or manifest line that breaks its format
    ├── CorpusError          training or scoring data that cannot serve its purpose
    └── StoreError           a cache, gallery or output that cannot be read or written

A message names the value that offended and the next step, in one sentence. The command line
prints it, with the flag of its `setting`, and exits with 2; any other exception is a bug of ours
and keeps its traceback.
"No speech" and "one speaker" are results, not errors.
"""

__all__ = [
    "AudioError",
    "BackendUnavailable",
    "CheckpointError",
    "ConfigError",
    "CorpusError",
    "FormatError",
    "StoreError",
    "ToolkitError",
]


class ToolkitError(Exception):
    """Base of all expected errors; its text is one sentence for the user.

    setting: the setting to change, by its name in the library (`naming.min_similarity`), where
    there is one; the command line adds its flag.
    """

    def __init__(self, message: str = "", *, setting: str = "") -> None:
        super().__init__(message)
        self.setting = setting


class ConfigError(ToolkitError):
    """A setting that cannot be used."""


class AudioError(ToolkitError):
    """A media file that cannot be read as sound."""


class CheckpointError(ToolkitError):
    """Weights that are missing, damaged or of another architecture."""


class BackendUnavailable(ToolkitError):  # noqa: N818 - it reads as what it says
    """A backend whose package is not installed or cannot be loaded."""


class FormatError(ToolkitError):
    """A file that breaks its format."""


class CorpusError(ToolkitError):
    """Training or scoring data that cannot serve its purpose."""


class StoreError(ToolkitError):
    """A cache, gallery or output that cannot be read or written."""
