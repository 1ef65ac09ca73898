"""Corpora as they are downloaded to manifests, feature banks and batches."""

__all__: list[str] = []
