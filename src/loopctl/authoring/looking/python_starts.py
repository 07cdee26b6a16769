"""How Python code is started on this machine: its packages, its command, told a port."""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from typing import Final

from loopctl.authoring.looking.facts import Certainty, Fact, Launch, Place, Start
from loopctl.authoring.looking.launches import split
from loopctl.authoring.looking.source_code import is_test
from loopctl.authoring.looking.structured import texts, toml_table, within
from loopctl.authoring.looking.tree import Tree, distance, joined

VENV: Final = ".venv-loop"
_PYTHON: Final = f"{VENV}/bin/python"
_SERVERS: Final = frozenset({"uvicorn", "fastapi", "flask", "hypercorn", "gunicorn", "streamlit"})
# Their modules and their packages have one name.
_PACKAGED: Final = frozenset({"uvicorn", "hypercorn", "gunicorn"})
_FRAMEWORKS: Final = {
    **dict.fromkeys(["FastAPI", "Starlette", "Litestar", "Quart"], "uvicorn"),
    "Flask": "flask",
}
_MAINS: Final = ("main.py", "app.py", "server.py", "run.py", "wsgi.py", "asgi.py")
_READS_PORT: Final = re.compile(r"""["']PORT["']|\bport\s*:\s*int\b""")
_PACKAGE: Final = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_MODULE: Final = re.compile(r"[A-Za-z_][\w.]*(?::[\w.()]+)?")


@functools.cache
def brought() -> frozenset[str]:
    """The packages that loopctl itself asks for: where it runs, they are."""
    try:
        wanted = importlib.metadata.requires("loopctl") or []
    except importlib.metadata.PackageNotFoundError:
        return frozenset()
    return frozenset(_package(each) for each in wanted if "extra ==" not in each)


def _package(requirement: str) -> str:
    found = _PACKAGE.match(requirement)
    return re.sub(r"[-_.]+", "-", found[1]).lower() if found else ""


def read_start(tree: Tree, folder: str, given: Sequence[Fact[Launch]]) -> Start | None:
    """How the code of a folder is started; `given` are commands that other files have for it.

    None where no Python is to be started there, or nothing tells how.
    """
    if not any(True for _ in tree.below(folder, "*.py")):
        return None
    steps = _steps(tree, folder)
    own = not steps
    if own and not _third_party(tree, folder) <= brought():
        # Nothing says which packages it wants, and it wants some.
        return None
    for launch in given:
        before, last = _parts(launch.value)
        words = _own_words(tree, folder, last)
        first = [_own_words(tree, folder, each) for each in before]
        if words is not None and not first and not _is_told(tree, folder, words):
            # The port stands in the code; its application object can be told another one.
            made = next(_applications(tree, folder, _sources(tree, folder)), None)
            if made is not None:
                return _start(tree, folder, *made, steps, own=own)
        if words is not None and None not in first:
            done = [each for each in first if each is not None]
            return _start(tree, folder, words, launch, steps, own=own, before=done)
    guessed = _guess(tree, folder)
    return _start(tree, folder, *guessed, steps, own=own) if guessed else None


def _start(
    tree: Tree,
    folder: str,
    words: tuple[str, ...],
    why: Fact[Launch],
    steps: tuple[str, ...],
    *,
    own: bool,
    before: Sequence[tuple[str, ...]] = (),
) -> Start:
    program = "python" if own else _PYTHON
    steps = _with_server(tree, folder, steps, words)
    if before or "$PORT" in " ".join(words):
        lines = [*(_shown(program, each) for each in before), f"exec {_shown(program, words)}"]
        launch = Launch(line=" && ".join(lines))
        listens: bool | None = True
    else:
        launch = Launch(words=(program, *words))
        listens = _reads_port(tree, folder)
    return Start(folder, "python", Fact(launch, why.place, why.certainty, why.how), steps, listens)


def _with_server(
    tree: Tree, folder: str, steps: tuple[str, ...], words: Sequence[str]
) -> tuple[str, ...]:
    """The steps, with the server where the packages do not name it: an image brought it."""
    wants = requirements_of(tree, folder)
    named = wants[1] if wants else frozenset()
    asked = [words[1]] if words[:1] == ("-m",) and words[1] in _PACKAGED else []
    asked += ["gevent"] if "gevent" in words else []
    lacking = [each for each in asked if each not in named]
    if not lacking or not steps or " pip install " not in steps[-1]:
        return steps
    return (*steps[:-1], f"{steps[-1]} {' '.join(lacking)}")


def _shown(program: str, words: Sequence[str]) -> str:
    quoted = [word if "$PORT" in word else shlex.quote(word) for word in words]
    return " ".join([shlex.quote(program), *quoted])


def _parts(launch: Launch) -> tuple[tuple[Launch, ...], Launch]:
    """What a line does first, such as to migrate, and what it then starts."""
    if launch.line is None or "&&" not in launch.line:
        return (), launch
    parts = [part.strip().removeprefix("exec ") for part in launch.line.split("&&")]
    return tuple(Launch(line=part) for part in parts[:-1]), Launch(line=parts[-1])


def _third_party(tree: Tree, folder: str) -> frozenset[str]:
    """The packages that the folder's code imports, by their modules' names."""
    paths = [path for path in tree.below(folder, "*.py") if not is_test(path)][:300]
    local = {
        part.removesuffix(".py") for path in tree.below(folder, "*.py") for part in path.split("/")
    }
    found = {module for path in paths for module in imports(parsed(tree.text(path)))}
    return frozenset(name.replace("_", "-").lower() for name in found - local)


def imports(module: ast.Module) -> Iterator[str]:
    """The packages that a module imports at its top, without those of Python itself."""
    for node in module.body:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        else:
            continue
        for name in names:
            top = name.partition(".")[0]
            if top not in sys.stdlib_module_names:
                yield top


def _reads_port(tree: Tree, folder: str) -> bool | None:
    paths = [path for path in tree.below(folder, "*.py") if not is_test(path)]
    return True if any(_READS_PORT.search(tree.text(path)) for path in paths) else None


def requirements_of(tree: Tree, folder: str) -> tuple[str, frozenset[str]] | None:
    """The file that names a folder's packages, and their names; None where there is none."""
    for name in ("requirements.txt", "requirements/prod.txt", "requirements/base.txt"):
        path = joined(folder, name)
        if tree.has(path):
            lines = [line for line in tree.lines(path) if not line.lstrip().startswith("#")]
            return path, frozenset(filter(None, map(_package, lines)))
    path = joined(folder, "pyproject.toml")
    table = toml_table(tree, path if tree.has(path) else None)
    listed = within(table, "project", "dependencies")
    poetry = within(table, "tool", "poetry", "dependencies")
    if isinstance(listed, list):
        return path, frozenset(filter(None, map(_package, texts(listed))))
    if isinstance(poetry, dict):
        return path, frozenset(_package(str(name)) for name in poetry if name != "python")
    if tree.has(joined(folder, "setup.py")):
        return joined(folder, "setup.py"), frozenset({"what it says when it is run"})
    return None


def _steps(tree: Tree, folder: str) -> tuple[str, ...]:
    """What installs the folder's packages beside it; nothing where loopctl brings all of them."""
    wants = requirements_of(tree, folder)
    if wants is None or wants[1] <= brought():
        return ()
    path, _ = wants
    name = path[len(folder) + 1 :] if folder != "." else path
    make = f"python3 -m venv {VENV}"
    if tree.has(joined(folder, "uv.lock")):
        return (f"UV_PROJECT_ENVIRONMENT={VENV} uv sync --frozen --no-dev",)
    if tree.has(joined(folder, "poetry.lock")):
        return (make, f'VIRTUAL_ENV="$PWD/{VENV}" poetry install --only main --no-root')
    what = "." if name in ("pyproject.toml", "setup.py") else f"-r {name}"
    return (make, f"{_PYTHON} -m pip install --quiet {what}")


def _own_words(tree: Tree, folder: str, launch: Launch) -> tuple[str, ...] | None:
    """What follows `python` on this machine, None where the command is not understood."""
    line = launch.line
    if line is not None and re.search(r"[`|&;<>()\n\\]|\$\(", line):
        return None
    words = launch.words if line is None else split(re.sub(r"\$\{?PORT[^}\s]*\}?", "$PORT", line))
    if not words:
        return None
    while words[:2] in (("poetry", "run"), ("uv", "run"), ("pipenv", "run")):
        words = words[2:]
    program = words[0].rpartition("/")[2] if words else ""
    if program in ("python", "python3") and len(words) > 1:
        rest = [word for word in words[1:] if word not in ("-u", "-B")]
        if rest[:1] == ["-m"] and rest[1:2] and rest[1] in _SERVERS:
            return _told_port(tree, folder, rest[1], tuple(rest[2:]))
        return _script(tree, folder, rest)
    if program in _SERVERS and words[1:3] != ("db", "upgrade"):
        return _told_port(tree, folder, program, tuple(words[1:]))
    if program in ("alembic", "flask") and not any("$" in word for word in words):
        return ("-m", program, *words[1:])
    return None


def _script(tree: Tree, folder: str, rest: list[str]) -> tuple[str, ...] | None:
    if any("$" in word for word in rest if word != "$PORT"):
        return None
    if rest[:1] == ["-m"] and len(rest) > 1:
        return tuple(rest) if _has_module(tree, folder, rest[1]) else None
    if rest and not tree.has(joined(folder, rest[0])):
        return None
    if rest[1:2] == ["runserver"]:
        options = [w for w in rest[2:] if w.startswith("--") and w != "--noreload"]
        return (rest[0], "runserver", "--noreload", *options, "127.0.0.1:$PORT")
    return tuple(rest) or None


def _told_port(
    tree: Tree, folder: str, server: str, rest: tuple[str, ...]
) -> tuple[str, ...] | None:
    """A server's arguments, with an address of this machine and the port that it is told."""
    kept: list[str] = []
    passing = False
    bound = {"--host", "--port", "-h", "-p", "-b", "--bind", "-w", "--workers"}
    bound |= {"--server.port", "--server.address", "--env-file", "--log-config"}
    for word in rest:
        if passing:
            passing = False
        elif word.partition("=")[0] in bound:
            passing = "=" not in word
        elif word not in ("--reload", "--debug"):
            kept.append(word)
    if any("$" in word for word in kept):
        return None
    target = next((word for word in kept if not word.startswith("-") and word != "run"), None)
    named = re.fullmatch(r"([\w.]+):[\w.()]+", target) if target else None
    if named and not _has_module(tree, folder, named[1]):
        return None
    match server:
        case "gunicorn" | "hypercorn":
            where: tuple[str, ...] = ("--bind", "127.0.0.1:$PORT")
        case "streamlit":
            where = ("--server.port=$PORT", "--server.address=127.0.0.1")
        case _:
            where = ("--host", "127.0.0.1", "--port", "$PORT")
    return ("-m", server, *kept, *where)


def _has_module(tree: Tree, folder: str, module: str) -> bool:
    path = joined(folder, module.replace(".", "/"))
    return tree.has(f"{path}.py") or tree.has_folder(path)


def _guess(tree: Tree, folder: str) -> tuple[tuple[str, ...], Fact[Launch]] | None:
    """From the code alone: a package that can be run, an application object, a script."""
    paths = _sources(tree, folder)
    found = next(_applications(tree, folder, paths), None)
    scripts = next(_scripts(tree, folder, paths), None)
    if scripts and (found is None or scripts[1].how == "reads PORT"):
        return scripts
    return found


def _sources(tree: Tree, folder: str) -> Sequence[str]:
    """Where an entry may be, the likeliest file first."""
    paths = [p for p in tree.below(folder, "*.py") if not is_test(p) and distance(p, folder) <= 3]
    return sorted(paths, key=lambda path: (distance(path, folder), _rank(path), path))


def _is_told(tree: Tree, folder: str, words: Sequence[str]) -> bool:
    return "$PORT" in " ".join(words) or _reads_port(tree, folder) is not None


def _rank(path: str) -> int:
    name = path.rpartition("/")[2]
    return _MAINS.index(name) if name in _MAINS else len(_MAINS)


def _guessed(place: Place, how: str) -> Fact[Launch]:
    return Fact(Launch(), place, Certainty.GUESSED, how)


def _applications(
    tree: Tree, folder: str, paths: Sequence[str]
) -> Iterator[tuple[tuple[str, ...], Fact[Launch]]]:
    for path in paths:
        if path.rpartition("/")[2] == "manage.py" and distance(path, folder) == 0:
            words = ("manage.py", "runserver", "--noreload", "127.0.0.1:$PORT")
            yield words, _guessed(Place(path), "a Django project")
        for name, framework, line in _assigned(tree.text(path)):
            module = path.removesuffix(".py").removeprefix("" if folder == "." else f"{folder}/")
            dotted = module.replace("/", ".").removesuffix(".__init__")
            if not _MODULE.fullmatch(dotted):
                continue
            where = ("--host", "127.0.0.1", "--port", "$PORT")
            server = _FRAMEWORKS[framework]
            told = f"{dotted}:{name}"
            flask = ("-m", "flask", "--app", told, "run", *where)
            made = flask if server == "flask" else ("-m", server, told, *where)
            yield made, _guessed(Place(path, line), f"{framework}()")


def _assigned(text: str) -> Iterator[tuple[str, str, int]]:
    """Names at the top of a module to which an application is assigned."""
    if not any(name in text for name in _FRAMEWORKS):
        return
    for node in parsed(text).body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or not isinstance(node.value, ast.Call):
            continue
        called = node.value.func
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if not isinstance(targets[0], ast.Name):
            continue
        if name not in _FRAMEWORKS and targets[0].id in ("app", "application"):
            # What a factory makes: its framework is the one that the module speaks of.
            name = next((each for each in _FRAMEWORKS if each in text), name)
        if name in _FRAMEWORKS:
            yield targets[0].id, name, node.lineno


def _scripts(
    tree: Tree, folder: str, paths: Sequence[str]
) -> Iterator[tuple[tuple[str, ...], Fact[Launch]]]:
    for path in paths:
        name = path.removeprefix("" if folder == "." else f"{folder}/")
        text = tree.text(path)
        if name.endswith("/__main__.py") and name.count("/") == 1:
            package = name.partition("/")[0]
            if _MODULE.fullmatch(package) and _reads_port(tree, joined(folder, package)):
                yield ("-m", package), _guessed(Place(path), "reads PORT")
        elif "/" not in name and name in _MAINS and "__main__" in text:
            how = "reads PORT" if _READS_PORT.search(text) else "a script"
            if how == "reads PORT" or re.search(r"serve|run\(|listen", text):
                yield (name,), _guessed(Place(path), how)


@functools.lru_cache(maxsize=4_000)
def parsed(text: str) -> ast.Module:
    """Python as a tree; an empty one where it is none."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module(body=[], type_ignores=[])
