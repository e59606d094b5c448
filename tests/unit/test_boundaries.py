"""No service reaches into another, and what is heavy stays where it belongs."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SERVICES = Path(__file__).parents[2] / "services"
SHARED = {"contracts", "runtime"}
NAMES = sorted(path.name for path in SERVICES.iterdir() if path.is_dir() and path.name != "__pycache__")


def imports(service: str) -> Iterator[tuple[Path, str]]:
    """Yield every absolute import of a service with its file."""
    for path in (SERVICES / service).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: relative import"
                yield path, node.module or ""


@pytest.mark.parametrize("service", NAMES)
def test_a_service_imports_itself_and_what_is_shared(service: str) -> None:
    allowed = {"contracts"} if service == "contracts" else SHARED if service == "runtime" else SHARED | {service}
    for path, module in imports(service):
        parts = module.split(".")
        if parts[0] == "services" and len(parts) > 1:
            assert parts[1] in allowed, f"{path} imports {module}"


def test_contracts_use_the_standard_library_and_temporalio_only() -> None:
    for path, module in imports("contracts"):
        root = module.split(".")[0]
        assert root in sys.stdlib_module_names | {"temporalio", "services"}, f"{path} imports {module}"


@pytest.mark.parametrize(
    ("library", "homes"),
    [
        ("litellm", {"llm_worker"}),
        ("openai", {"llm_worker"}),
        ("reportlab", {"pdf_worker"}),
        ("markdown_it", {"pdf_worker"}),
        ("fastapi", {"gateway"}),
        ("typer", {"cli"}),
    ],
)
def test_a_library_has_one_home(library: str, homes: set[str]) -> None:
    users = {service for service in NAMES for _, module in imports(service) if module.split(".")[0] == library}
    assert users == homes


def test_the_orchestrator_loads_nothing_heavy() -> None:
    program = (
        "import sys, services.orchestrator.__main__\n"
        "heavy = {'litellm', 'openai', 'reportlab', 'boto3', 'fastapi', 'httpx'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=SERVICES.parent)
