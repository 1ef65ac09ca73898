"""The one training loop, its checkpoints and its picture; knows nothing of speakers."""

__all__: list[str] = []
