"""All stages in order. In: a recording and a `DiarizeConfig`. Out: a `DiarizationResult` with turns
in seconds and the arrays they are made of, whose speakers a gallery may name."""

__all__: list[str] = []
