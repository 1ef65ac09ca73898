"""What a network is trained on: mined triplets, a teacher, a memory of earlier embeddings."""

__all__: list[str] = []
