"""The structure of the code in figures, beside the limits that tests/project/test_structure.py holds it to.

python scripts/structure.py                 # this checkout
python scripts/structure.py CHECKOUT [...]  # others, side by side: the commit before a change, then after it

Reads the sources as text and imports nothing of them.
"""

import ast
import math
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

# a folder imports only from itself and from folders above it
LAYERS = (
    "system",
    "config",
    "models",
    "distributed",
    "augmentation",
    "data",
    "runs",
    "evaluation",
    "training",
    "tracking",
    "pages",
    "prepare",
    "compare",
    "average",
    "suspects",
    "masks",
    "predict",
    "report",
    "export",
    "bench",
    "doctor",
    "jobs",
    "leafdist train evaluate",  # __init__.py, __main__.py and the two scripts
)
LIMITS = {
    "flat modules in leafdist/": 2,
    "folder pairs joined by an import": 112,
    "imports that point up": 0,
    "file names used twice": 0,
    "lines with dict[str, Any]": 40,
    "dict[str, Any] in what a folder offers to others": 0,
    "public functions without a docstring, %": 0,
    "docstrings that begin with Of, That, Those, Where or When": 0,
    "lines of Python": 24_250,  # the aim is 12,500
    "required dependencies": 15,
    "lines of the longest file": 250,
    "lines of the longest function": 60,
}
SAME_MEANING = {"__init__.py", "cli.py", "evaluate.py"}  # evaluate.py calls evaluation/evaluate.py
VAGUE = {"Of", "That", "Those", "Where", "When"}
Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = Function | ast.ClassDef | ast.Module


@dataclass(frozen=True)
class Module:
    """One file of a checkout: its path below the checkout, its text and its syntax tree."""

    root: Path
    path: Path

    @cached_property
    def text(self) -> str:
        return (self.root / self.path).read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def folder(self) -> str:
        """The folder below leafdist/, or the name of a module that is in none."""
        parts = self.path.parts
        return parts[1] if len(parts) > 2 else self.path.stem if self.path.stem not in _ENTRANCES else "leafdist"

    def imports(self) -> Iterator[str]:
        """Full names of what is imported from leafdist, inside functions too: `leafdist.data.plan`."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names if alias.name.startswith("leafdist."))
            elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "leafdist":
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                yield from (name if self._is_module(name) else str(node.module) for name in names)

    def packages(self) -> set[str]:
        """Packages and their parts that are imported: `torch`, `torch.utils` and `torch.utils.tensorboard`."""
        found = set[str]()
        for node in ast.walk(self.tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            found |= {".".join(name.split(".")[: end + 1]) for name in names for end in range(name.count(".") + 1)}
        return found

    def _is_module(self, name: str) -> bool:
        path = self.root.joinpath(*name.split("."))
        return path.is_dir() or path.with_suffix(".py").is_file()

    def definitions(self) -> Iterator[tuple[str, Documented]]:
        """Functions, classes and the module itself, with their dotted names."""
        yield str(self.path), self.tree
        yield from _inside(self.tree, "")


_ENTRANCES = ("__init__", "__main__")


def _inside(node: ast.AST, prefix: str) -> Iterator[tuple[str, Documented]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Documented) and not isinstance(child, ast.Module):
            yield f"{prefix}{child.name}", child
            yield from _inside(child, f"{prefix}{child.name}.")
        else:
            yield from _inside(child, prefix)


class Structure:
    """The modules of the checkout at `root`, and what is counted of them."""

    def __init__(self, root: Path) -> None:
        paths = [*(root / "leafdist").rglob("*.py"), root / "train.py", root / "evaluate.py"]
        self.root = root
        self.modules = [Module(root, path.relative_to(root)) for path in sorted(paths)]

    def figures(self) -> dict[str, int]:
        """Each figure of LIMITS."""
        flat = [module for module in self.modules if module.path.parts[0] == "leafdist" and len(module.path.parts) == 2]
        public = list(self.public_functions())
        bare = [name for name, function in public if not ast.get_docstring(function)]
        found = (
            len(flat),
            len(self.joined()),
            len(self.upward()),
            len(self.twice()),
            sum("dict[str, Any]" in line for module in self.modules for line in module.text.splitlines()),
            len(self.loose()),
            math.ceil(100 * len(bare) / len(public)),  # one is too many
            len(self.vague()),
            sum(len(module.text.splitlines()) for module in self.modules),
            len(tomllib.loads((self.root / "pyproject.toml").read_text())["project"]["dependencies"]),
            max(len(module.text.splitlines()) for module in self.modules),
            max(_lines(node) for one in self.modules for _, node in one.definitions() if isinstance(node, Function)),
        )
        return dict(zip(LIMITS, found, strict=True))

    def joined(self) -> set[tuple[str, str]]:
        """Pairs of a folder, or a file outside all of them, and another one that it imports from."""
        pairs = {
            (module.folder, name.split(".")[1])
            for module in self.modules
            for name in module.imports()
            if name.count(".") >= 1
        }
        return {(one, other) for one, other in pairs if one != other}

    def upward(self) -> list[str]:
        """Imports that LAYERS does not allow."""
        level = {name: number for number, line in enumerate(LAYERS) for name in line.split()}
        return sorted(
            f"{one} imports {other}"
            for one, other in self.joined()
            if level.get(other, len(LAYERS)) >= level.get(one, -1)
        )

    def twice(self) -> list[str]:
        """Names of files that several folders use for different things."""
        names = Counter(module.path.name for module in self.modules)
        return sorted(name for name, count in names.items() if count > 1 and name not in SAME_MEANING)

    def public_functions(self) -> Iterator[tuple[str, Function]]:
        """Functions and methods that anybody may call: no underscore, no protocol of Python, none inside a function."""
        for module in self.modules:
            for name, node in module.definitions():
                *outer, own = name.split(".")
                if isinstance(node, Function) and own[0] != "_" and all(part[0].isupper() for part in outer):
                    yield f"{module.path}:{name}", node

    def loose(self) -> list[str]:
        """Functions with `dict[str, Any]` in their signature that another folder imports."""
        offered = {(module.folder, _dotted(module.path)): module for module in self.modules}
        wanted = {
            (name, alias.name)
            for module in self.modules
            for node in ast.walk(module.tree)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("leafdist.")
            for name in [str(node.module).removeprefix("leafdist.")]
            for alias in node.names
            if name.split(".")[0] != module.folder
        }
        return sorted(
            f"{module.path}:{name}"
            for (_, dotted), module in offered.items()
            for name, node in module.definitions()
            if isinstance(node, Function) and (dotted, name.split(".")[0]) in wanted and _is_loose(node)
        )

    def vague(self) -> list[str]:
        """Docstrings that do not begin with a verb or with the noun that they are about."""
        return sorted(
            f"{module.path}:{name}"
            for module in self.modules
            for name, node in module.definitions()
            if (ast.get_docstring(node) or "x").split()[0].strip(".,;:") in VAGUE
        )


def _is_loose(function: Function) -> bool:
    hints = [*(argument.annotation for argument in ast.walk(function.args) if isinstance(argument, ast.arg))]
    return any("dict[str, Any]" in ast.unparse(hint) for hint in [*hints, function.returns] if hint)


def _lines(node: Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _dotted(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[1:] if parts[0] == "leafdist" else parts)


def main(checkouts: list[str]) -> None:
    """Print a column for each checkout and the limits."""
    roots = [Path(one) for one in checkouts] or [Path(__file__).parents[1]]
    columns = [Structure(root).figures() for root in roots]
    width = max(map(len, LIMITS))
    print(f"{'':{width}}  " + "  ".join(f"{root.resolve().name[:12]:>12}" for root in roots) + "         limit")
    for name, limit in LIMITS.items():
        print(f"{name:{width}}  " + "  ".join(f"{column[name]:>12,}" for column in columns) + f"  {limit:>12,}")


if __name__ == "__main__":
    main(sys.argv[1:])
