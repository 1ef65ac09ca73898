"""Windows (N, 2) of a recording, or a whole clip, to unit vectors."""

__all__: list[str] = []
