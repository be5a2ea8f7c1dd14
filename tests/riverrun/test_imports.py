"""The folders depend one way: the imports are walked, not trusted."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UPPER = {"stream", "learner", "serving", "bench"}
HEAVY = ("torch", "grpc", "kafka", "faust", "pydantic", "rich", "avalanche", "numpy")


def imports(path: Path, *, late: bool = True) -> Iterator[str]:
    """The modules that a file imports; without `late`, only those at its top level.

    `from package import name` gives both, for `name` may be a module.
    """
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree) if late else at_import(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{name.name}" for name in node.names)


def at_import(tree: ast.Module) -> Iterator[ast.stmt]:
    """Statements that run on import (those under `if TYPE_CHECKING:` do not)."""
    for node in tree.body:
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield node


def package_of(module: str) -> str:
    return module.split(".")[0]


def files(package: str) -> list[Path]:
    found = sorted((ROOT / package).rglob("*.py"))
    assert found, package
    return found


@pytest.mark.parametrize("package", ["stream", "learner", "serving"])
def test_the_three_processes_import_nothing_of_each_other(package: str) -> None:
    for path in files(package):
        others = {package_of(module) for module in imports(path)} & (UPPER - {package})
        assert not others, f"{path.relative_to(ROOT)} imports {others}"


def test_only_the_cli_looks_up() -> None:
    for path in files("riverrun"):
        if (ROOT / "riverrun" / "cli") in path.parents:
            continue
        found = {package_of(module) for module in imports(path)} & UPPER
        assert not found, f"{path.relative_to(ROOT)} imports {found}"


def test_the_cli_looks_up_late() -> None:
    for path in files("riverrun/cli"):
        found = {package_of(module) for module in imports(path, late=False)} & UPPER
        assert not found, f"{path.relative_to(ROOT)} imports {found} when it is imported"


def reached(package: str) -> set[str]:
    """All top-level modules that importing a package's own files leads to, through riverrun's."""
    known = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for folder in ("riverrun", package)
        for path in files(folder)
    }
    seen: set[str] = set()
    waiting = [name for name in known if package_of(name) == package]
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            if module in known:
                # What riverrun imports late is not reached; of the package itself all counts.
                waiting += imports(known[module], late=package_of(module) == package)
    return {package_of(name) for name in seen}


@pytest.mark.parametrize(
    ("package", "without"),
    [
        ("stream", {"torch", "avalanche", "transformers", "safetensors"}),
        ("serving", {"faust", "avalanche", "mode", "transformers"}),
        ("learner", {"faust", "mode", "transformers"}),
    ],
)
def test_a_process_does_not_load_the_libraries_of_another(package: str, without: set[str]) -> None:
    assert not reached(package) & without


def test_the_front_door_loads_nothing_heavy() -> None:
    code = "import sys, riverrun.cli; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = {package_of(module) for module in done.stdout.split()}
    assert not loaded & set(HEAVY)
    assert "click" in loaded
