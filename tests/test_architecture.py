"""The house rules as checks: layers, purity, one home for the environment, sizes, mirrors."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = (
    "market",
    "transforms",
    "brokers",
    "storage",
    "streaming",
    "orchestration",
    "dashboard",
    "simulator",
    "optionlake",
)
GENERATED = "generated"


def _modules(*packages: str) -> Iterator[Path]:
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            if GENERATED not in path.parts and "node_modules" not in path.parts:
                yield path


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_arrows_point_down() -> None:
    """Layers, purity and the home of SQL, as import-linter's contracts in pyproject.toml."""
    script = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", script, "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("command", [("ruff", "check", "."), ("ruff", "format", "--check", ".")])
def test_style(command: tuple[str, ...]) -> None:
    """One style, held by a tool."""
    done = _run(*command)
    assert done.returncode == 0, done.stdout + done.stderr


def test_types() -> None:
    """Every package passes mypy in strict mode."""
    done = _run("mypy")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr


def test_environment_is_read_in_settings_only() -> None:
    """A setting has one name, one default and one description."""
    pattern = re.compile(r"os\.environ|os\.getenv|from os import .*(environ|getenv)")
    readers = {
        str(path.relative_to(ROOT))
        for path in _modules(*PACKAGES)
        if pattern.search(path.read_text(encoding="utf-8"))
    }
    # The launcher hands its own environment on to the programs that it starts.
    assert readers <= {"optionlake/settings.py", "optionlake/supervisor.py"}


def test_pure_packages_have_no_clock() -> None:
    """Market and transforms are handed the time; a clock in them would be look-ahead."""
    clock = re.compile(r"\b(now|utcnow|today)\(|\btime\.(time|monotonic|perf_counter)")
    offenders = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in _modules("market", "transforms")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if clock.search(line)
    ]
    assert offenders == []


def test_dbt_folder_holds_no_python() -> None:
    """A Python file there would shadow the installed package of the same name."""
    assert list((ROOT / "dbt").rglob("*.py")) == []


@pytest.mark.parametrize("path", list(_modules(*PACKAGES, "benchmarks", "tools")), ids=str)
def test_module_says_what_belongs_in_it(path: Path) -> None:
    """A reader learns at the top whether this is the right file; and it is not too long."""
    source = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(source)), "no module docstring"
    assert source.count("\n") <= 400, "split it: more than 400 lines"


def _function_lengths() -> list[tuple[int, str]]:
    lengths = []
    for path in _modules(*PACKAGES):
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                size = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
                lengths.append((size, f"{path.relative_to(ROOT)}:{node.name}"))
    return sorted(lengths)


def test_functions_are_short() -> None:
    """Median of at most 8 lines and a 90th percentile of at most 25, docstrings apart."""
    lengths = _function_lengths()
    sizes = [size for size, _ in lengths]
    assert statistics.median(sizes) <= 8
    assert sizes[int(len(sizes) * 0.9)] <= 25, lengths[-25:]


def test_public_functions_are_documented() -> None:
    """What another module may call says what it takes and gives."""
    missing = [
        f"{path.relative_to(ROOT)}:{node.name}"
        for path in _modules(*PACKAGES)
        for node in _tree(path).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert missing == []


@pytest.mark.parametrize("path", list(_modules(*PACKAGES)), ids=str)
def test_every_module_has_its_test_file(path: Path) -> None:
    """One test file for each module, in the same place under tests/."""
    if path.name in {"__init__.py", "__main__.py"}:
        return
    relative = path.relative_to(ROOT)
    assert (ROOT / "tests" / relative.with_name(f"test_{path.name}")).exists()


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-bench.txt"])
def test_lock_names_no_host(name: str) -> None:
    """A lock holds names, versions and hashes, so that any mirror can serve it."""
    lock = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in lock
    assert "--hash=sha256:" in lock


@pytest.mark.parametrize(
    ("extra", "name"), [("test", "requirements.txt"), ("bench", "requirements-bench.txt")]
)
def test_lock_satisfies_the_project(extra: str, name: str) -> None:
    """Every direct dependency is pinned in the lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"][extra]]
    lock = (ROOT / name).read_text(encoding="utf-8")
    pinned = set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))
    assert {re.split(r"[^A-Za-z0-9-]", line)[0].lower() for line in wanted} - pinned == set()
