"""Wave (B, T) to features (B, F, M): the log-mel bands of Deep Speaker, and Kaldi filterbanks."""

__all__: list[str] = []
