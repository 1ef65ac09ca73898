"""What a telephone, a codec, a room and noise do to a voice, for training."""

__all__: list[str] = []
