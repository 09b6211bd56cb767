"""Looks through a built site: `python docs/check_site.py build/site`.

Each link to a page of the site leads to a page and a place that there are, and nothing that a page
loads comes from elsewhere. Prints what is wrong; exits with 1 if anything is.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


class _Page(HTMLParser):
    """The places of a page, where it leads, what it loads."""

    def __init__(self, text: str):
        super().__init__()
        self.places: set[str] = set()
        self.leads: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes what the tag names, links or loads."""
        given = {name: value or "" for name, value in attrs}
        self.places.update(given[name] for name in ("id", "name") if name in given)
        if tag == "a" and "href" in given:
            self.leads.append(given["href"])
        if _LOADED.get(tag, "") in given:
            self.loads.append(given[_LOADED[tag]])


def problems(site: Path) -> list[str]:
    """Returns what is wrong with the pages of a folder, in lines."""
    paths = [path for path in sorted(site.rglob("*.html")) if "_static" not in path.parts]
    pages = {path: _Page(path.read_text("utf-8")) for path in paths}
    found = [] if pages else [f"{site} has no pages"]
    for path, page in pages.items():
        name = path.relative_to(site)
        for target in page.loads:
            parts = urlsplit(target)
            if parts.scheme not in ("", "data") or parts.netloc:
                found.append(f"{name} loads {target}")
            elif parts.path and not _at(path, parts.path).is_file():
                found.append(f"{name} loads {target}, which is not there")
        for target in page.leads:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            there = _at(path, parts.path) if parts.path else path
            places = pages[there].places if there in pages else {unquote(parts.fragment)}
            if not there.is_file():
                found.append(f"{name} leads to {target}, which is not there")
            elif parts.fragment and unquote(parts.fragment) not in places:
                found.append(f"{name} leads to {target}: no such place on that page")
    return found


def _at(page: Path, link: str) -> Path:
    return Path(page.parent, unquote(link)).resolve()


if __name__ == "__main__":
    wrong = problems(Path(sys.argv[1]).resolve())
    print("\n".join(wrong) or "all links lead somewhere, and nothing is loaded from elsewhere")
    sys.exit(bool(wrong))
