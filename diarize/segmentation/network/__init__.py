"""A network that hears who speaks when within ten seconds, and the conversations it learns from.

style -> script -> render      who speaks when, drawn like real talk; then how it sounds
voices surroundings            what it is rendered with: speakers, rooms, noise, music
"""

__all__: list[str] = []
