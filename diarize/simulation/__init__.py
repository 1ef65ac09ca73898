"""Conversations made of single utterances: turn taking, rooms, noise, channels."""

__all__: list[str] = []
