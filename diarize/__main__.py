"""`python -m diarize`: the command `diarize` where it is not on the search path."""

from diarize.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
