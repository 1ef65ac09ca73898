"""What every room stands on: settings, registries, files that appear complete or not at all,
tables, hashes, units of time.

It knows nothing of sound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.common.lazy import lazy_exports

if TYPE_CHECKING:
    from encoder.common.atomic_files import replacing
    from encoder.common.config import from_mapping, read_toml
    from encoder.common.registry import Registry
    from encoder.common.tables import read_table
    from encoder.common.units import samples_to_seconds, seconds_to_samples
    from encoder.common.vectors import unit_rows

__all__ = [
    "Registry",
    "from_mapping",
    "read_table",
    "read_toml",
    "replacing",
    "samples_to_seconds",
    "seconds_to_samples",
    "unit_rows",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Registry": "encoder.common.registry",
        "from_mapping": "encoder.common.config",
        "read_table": "encoder.common.tables",
        "read_toml": "encoder.common.config",
        "replacing": "encoder.common.atomic_files",
        "samples_to_seconds": "encoder.common.units",
        "seconds_to_samples": "encoder.common.units",
        "unit_rows": "encoder.common.vectors",
    },
)
