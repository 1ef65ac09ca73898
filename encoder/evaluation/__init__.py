"""EER, minDCF and identification of any embedder on a list of utterances, with intervals."""

__all__: list[str] = []
