"""Write the chart's documentation from the comments of values.yaml: README.md, and the schema's descriptions.

python deploy/checks/chart_docs.py          writes both
python deploy/checks/chart_docs.py --check  exits 1 when they are not what would be written
"""

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[1] / "helm" / "tardigrade"
PLACE = "<!-- values -->\n"

_KEY = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z]\w*):")


@dataclass(frozen=True)
class Value:
    """A key of values.yaml with its comment.

    Attributes:
        path: The keys that lead to it.
        comment: The comment lines above it, joined.
    """

    path: tuple[str, ...]
    comment: str


def documented(text: str) -> list[Value]:
    """Return the keys of values.yaml that a comment stands above, in order."""
    found: list[Value] = []
    path: list[tuple[int, str]] = []
    comment: list[str] = []
    for line in text.splitlines():
        bare = line.strip()
        if bare.startswith("# "):
            comment.append(bare[2:])
            continue
        if match := _KEY.match(line):
            indent = len(match["indent"])
            path = [*(entry for entry in path if entry[0] < indent), (indent, match["key"])]
            if comment:
                found.append(Value(tuple(key for _, key in path), " ".join(comment)))
        comment = []
    return found


def leaves(values: dict[str, Any], path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the paths of all values that are no map, or an empty one."""
    found: list[tuple[str, ...]] = []
    for key, value in values.items():
        if isinstance(value, dict) and value:
            found += leaves(value, (*path, key))
        else:
            found.append((*path, key))
    return found


def at(values: dict[str, Any], path: tuple[str, ...]) -> object:
    """Return the value at a path."""
    value: Any = values
    for key in path:
        value = value[key]
    return value


def readme(head: str, values: dict[str, Any], described: list[Value]) -> str:
    """Return README.md: the hand-written part, with the table of values where it says."""
    rows = ["| Value | Default | Meaning |", "|---|---|---|"]
    for value in described:
        default = json.dumps(at(values, value.path)).replace("|", "\\|")
        shown = "" if value.path[0] == "components" else f"`{default}`"
        rows.append(f"| `{'.'.join(value.path)}` | {shown} | {value.comment.replace('|', chr(92) + '|')} |")
    return head.replace(PLACE, "\n".join(rows) + "\n")


def describe(schema: dict[str, Any], described: list[Value]) -> str:
    """Return the schema with each comment as the description of its property."""
    for value in described:
        node = schema
        for key in value.path:
            if reference := node.get("$ref"):
                node = schema["$defs"][reference.rsplit("/", 1)[1]]
            node = node["properties"][key]
        node["description"] = value.comment
    return json.dumps(schema, indent=2) + "\n"


def main() -> int:
    """Write the files, or compare them."""
    text = (CHART / "values.yaml").read_text()
    described, values = documented(text), yaml.safe_load(text)
    written = {
        CHART / "README.md": readme((CHART / "README.md.in").read_text(), values, described),
        CHART / "values.schema.json": describe(json.loads((CHART / "values.schema.json").read_text()), described),
    }
    stale = [path for path, content in written.items() if not path.exists() or path.read_text() != content]
    if "--check" in sys.argv:
        for path in stale:
            sys.stderr.write(f"{path.name} does not fit values.yaml; run `make chart-docs`\n")
        return int(bool(stale))
    for path in stale:
        path.write_text(written[path])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
