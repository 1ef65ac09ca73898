"""Weights on disk: where they lie, how they are checked, how they are fetched."""

__all__: list[str] = []
