"""Trained networks at work: wave (T,) and windows (N, 2) to unit vectors (N, D)."""

__all__: list[str] = []
