"""Average linkage, exact and on a graph of nearest neighbours."""

__all__: list[str] = []
