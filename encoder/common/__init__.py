"""What every room stands on: settings as dataclasses and TOML, registries of backends, files
written whole or not at all, units of time. Knows nothing of sound.
"""

__all__: list[str] = []
