"""A whole training of an embedder: settings, phases, validation, fine-tuning."""

__all__: list[str] = []
