"""Lets links in `docs/` read and lead well on GitHub and on the site alike.

A hook of mkdocs. On GitHub `../examples/chat/README.md` leads to the file itself; the site gets a
page of what it says, so that no link leads to another host, or nowhere.
"""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

_SOURCE = "source/"
_OUTSIDE = re.compile(r"\]\(\.\./([^)#\s]+)((?:#[^)\s]*)?)\)")
_BY_FILE = re.compile(r"\[([\w-]+\.md)\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^# (.+)$", re.MULTILINE)
_RELATIVE = re.compile(r"\[([^\]]+)\]\((?!https?://|#)([^)#\s]+)((?:#[^)\s]*)?)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds a page for each file outside of `docs/` to which a page in it links."""
    root = Path(config.docs_dir).parent
    linked = {
        path
        for page in files.documentation_pages()
        for path, _ in _OUTSIDE.findall(page.content_string)
        if (root / path).exists()
    }
    for path in sorted(linked):
        added = File.generated(config, _page_of(path), content=_said(root / path, path))
        added.inclusion = InclusionLevel.NOT_IN_NAV
        files.append(added)
    return files


def on_page_markdown(markdown: str, page: Page, files: Files, **_given: MkDocsConfig) -> str:
    """Leads those links to the added pages, and calls pages by their titles, not their files."""

    def titled(link: re.Match[str]) -> str:
        file = files.get_file_from_path(link[1])
        heading = None if file is None else _HEADING.search(file.content_string)
        return link[0] if heading is None else f"[{heading[1]}]({link[2]})"

    if not page.file.src_uri.startswith(_SOURCE):
        markdown = _OUTSIDE.sub(lambda link: f"]({_page_of(link[1])}{link[2]})", markdown)
    return _BY_FILE.sub(titled, markdown)


def _page_of(path: str) -> str:
    path = path.rstrip("/")
    return f"{_SOURCE}{path}" if path.endswith(".md") else f"{_SOURCE}{path}.md"


def _said(file: Path, path: str) -> str:
    if file.is_dir():
        names = sorted(
            child.name for child in file.iterdir() if not child.name.startswith((".", "_"))
        )
        return f"# {path}\n\n" + "".join(f"- `{name}`\n" for name in names)
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".md":
        return _RELATIVE.sub(lambda link: _led_back(link, file), text)
    return f"# {path}\n\n``````{file.suffix.removeprefix('.')}\n{text}``````\n"


def _led_back(link: re.Match[str], file: Path) -> str:
    """A link of a file outside of `docs/`: to a page of the site, or to nothing it has."""
    root = next(folder for folder in file.parents if (folder / "mkdocs.yml").is_file())
    target = (file.parent / link[2]).resolve()
    if target.parent != root / "docs" or target.suffix != ".md":
        return link[1]
    up = "../" * len(file.relative_to(root).parts)
    return f"[{link[1]}]({up}{target.name}{link[3]})"
