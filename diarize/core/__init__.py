"""What every room of the package shares: turns, labels, vectors, files."""

__all__: list[str] = []
