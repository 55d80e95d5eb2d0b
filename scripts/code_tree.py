"""python -m scripts.code_tree: a line per file of the code, as the end of docs/code.md has it."""

import ast
from pathlib import Path

from scripts.structure import LAYERS, Module, Structure


def tree(modules: list[Module]) -> str:
    """Markdown: the folders from the lowest layer up, and in each a line per file, from its docstring."""
    folders = sorted({module.path.parent for module in modules}, key=_level)
    return "\n\n".join(_branch(folder, modules) for folder in folders) + "\n"


def _level(folder: Path) -> tuple[int, str]:
    names = [line.split()[0] for line in LAYERS]
    return (names.index(folder.parts[1]) if len(folder.parts) > 1 else len(names), str(folder))


def _branch(folder: Path, modules: list[Module]) -> str:
    files = [module for module in modules if module.path.parent == folder]
    heads = [first_line(module) for module in files if module.path.name == "__init__.py"]
    lines = [f"- `{one.path.name}`: {first_line(one)}" for one in files if one.path.name != "__init__.py"]
    name = f"`{folder}/`" if folder.parts else "Top level"
    return "\n".join([f"**{name}** {' '.join(heads)}".strip(), "", *lines])


def first_line(module: Module) -> str:
    """The first line of a module's docstring."""
    return (ast.get_docstring(module.tree) or "").split("\n")[0]


if __name__ == "__main__":
    print(tree(Structure(Path(__file__).parents[1]).modules), end="")
