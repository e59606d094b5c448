"""What a benchmark prints: one JSON line a result on stdout, its progress on stderr."""

import json
import sys


def result(bench: str, **fields: object) -> None:
    """Print one result.

    Args:
        bench: Name of the benchmark.
        fields: The rest of the line, in the order given; floats are rounded to three decimals.
    """
    rounded = {name: round(value, 3) if isinstance(value, float) else value for name, value in fields.items()}
    print(json.dumps({"bench": bench, **rounded}), flush=True)


def progress(text: str) -> None:
    """Print a line for the person who waits."""
    print(text, file=sys.stderr, flush=True)
