"""A network that finds who speaks when within ten seconds: features (B, F, M) to powerset
classes."""

__all__: list[str] = []
