"""Labels of windows (N,) to turns: resegmentation, aggregation of chunks, confidence."""

__all__: list[str] = []
