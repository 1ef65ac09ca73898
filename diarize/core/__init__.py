"""What every room of the package shares: regions (n, 2) in samples, turns in seconds, labels and
their names, means of vectors, the bounds on the number of speakers, files."""

__all__: list[str] = []
