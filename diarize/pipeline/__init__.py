"""The whole way of a recording from sound to named turns."""

__all__: list[str] = []
