"""A recording as the stages read it. In: a media file, standard input or a wave (T,). Out: blocks
(T,) at one level, as often as a stage asks for them, in bounded memory."""

__all__: list[str] = []
