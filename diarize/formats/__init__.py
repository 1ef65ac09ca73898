"""File formats of timelines: one module a format, each with a reader and a writer."""

__all__: list[str] = []
