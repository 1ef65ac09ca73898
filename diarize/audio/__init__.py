"""A recording in blocks at one level, as often as a stage needs it."""

__all__: list[str] = []
