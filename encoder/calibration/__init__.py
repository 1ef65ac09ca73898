"""From a similarity to the probability that two sounds are of one speaker, and how good that is."""

__all__: list[str] = []
