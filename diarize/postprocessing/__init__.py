"""From labels to turns. In: labels (N,) and embeddings (N, D) of windows and, where the segmenter
tells speakers apart, the activity in its chunks. Labels are corrected by their order in time, local
speakers mapped to labels and their chunks aggregated. Out: turns, which may overlap, and the
probability that each has the right speaker."""

__all__: list[str] = []
