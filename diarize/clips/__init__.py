"""A folder of clips to groups of one speaker each."""

__all__: list[str] = []
