"""Training of the segmentation network on simulated conversations."""

__all__: list[str] = []
