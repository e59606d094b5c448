"""The chart as `helm template` renders it."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "tardigrade"
TOOLS = ROOT / "build" / "tools"

Manifest = dict[str, Any]


@cache
def find_helm() -> str:
    """Return helm from the PATH, or build it, or skip, loudly: these tests say nothing without it."""
    if found := shutil.which("helm", path=f"{os.environ['PATH']}{os.pathsep}{TOOLS}"):
        return found
    if shutil.which("go") is None:
        pytest.skip("NOT RUN: the chart's tests need helm, and without Go it cannot be built")
    subprocess.run(["make", "-f", "deploy/deploy.mk", "tool-helm"], cwd=ROOT, check=True, timeout=600)
    return str(TOOLS / "helm")


class Rendered:
    """The objects that a set of values gives."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.objects: list[Manifest] = [each for each in yaml.safe_load_all(text) if each]

    def kinds(self, kind: str) -> dict[str, Manifest]:
        """Return the objects of a kind by name."""
        return {each["metadata"]["name"]: each for each in self.objects if each["kind"] == kind}

    def one(self, kind: str, name: str) -> Manifest:
        """Return one object."""
        return self.kinds(kind)[name]

    def component(self, kind: str, component: str) -> Manifest:
        """Return a component's object of a kind."""
        found = [
            each
            for each in self.objects
            if each["kind"] == kind and each["metadata"]["labels"].get("app.kubernetes.io/component") == component
        ]
        assert len(found) == 1, f"{len(found)} {kind} of {component}"
        return found[0]

    def pods(self) -> dict[str, Manifest]:
        """Return the specification of every pod that these objects make, by the object's name."""
        specs = {}
        for each in self.objects:
            if each["kind"] == "Pod":
                specs[each["metadata"]["name"]] = each["spec"]
            elif each["kind"] in ("Deployment", "StatefulSet"):
                specs[each["metadata"]["name"]] = each["spec"]["template"]["spec"]
        return specs


class RefusedError(Exception):
    """Helm refused the values; the text is what it says."""


Render = Callable[..., Rendered]


def helm_template(*arguments: str) -> str:
    """Return what `helm template` prints for a release named tardigrade."""
    command = [find_helm(), "template", "tardigrade", str(CHART), "--namespace", "research", "--kube-version", "1.34.0"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise RefusedError(done.stderr)
    return done.stdout


@pytest.fixture
def render(tmp_path: Path) -> Render:
    """Render with values given as a dict over a file of `ci/` (or values-production.yaml)."""

    def run(values: Manifest | None = None, *, file: str = "ci/default-values.yaml") -> Rendered:
        given = tmp_path / "values.yaml"
        given.write_text(json.dumps(values or {}))
        return Rendered(helm_template("--values", str(CHART / file), "--values", str(given)))

    return run
