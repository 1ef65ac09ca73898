"""Any media file to a mono wave (T,) at 16 kHz, on the clock of the file itself.

PyAV decodes; nothing is played, nothing is installed beside it.
"""

__all__: list[str] = []
