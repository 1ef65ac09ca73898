"""What stays between runs: one SQLite file a purpose."""

__all__: list[str] = []
