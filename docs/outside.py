"""Preprocessor of mdBook: a link to a file of the repository that is no page of the book becomes that file's path.

mdBook calls it with the book as JSON (`book.toml`); the pages themselves keep links that work in the repository.
"""

import json
import posixpath
import re
import sys

LINK = re.compile(r"(?<!!)\[([^\]\[]*(?:\[[^\]]*\][^\]\[]*)*)\]\(([^)\s#:]+)(#[^)\s]*)?\)")


def rewrite(text, folder):
    def link(match):
        label, target, heading = match[1], match[2], match[3] or ""
        path = posixpath.normpath(posixpath.join("docs", folder, target))
        if path.startswith("docs/"):
            return match[0] if not target.endswith("README.md") else f"[{label}]({target[:-9]}index.md{heading})"
        return f"{label} (`{path}`)" if label.strip("`") != path else f"`{path}`"

    return LINK.sub(link, text)


def walk(items):
    for item in items:
        chapter = item.get("Chapter") if isinstance(item, dict) else None
        if chapter:
            if chapter.get("source_path"):
                chapter["content"] = rewrite(chapter["content"], posixpath.dirname(chapter["source_path"]))
            walk(chapter["sub_items"])


if __name__ == "__main__":
    if sys.argv[1:2] == ["supports"]:
        sys.exit(0)
    _, book = json.load(sys.stdin)
    walk(book.get("items", book.get("sections", [])))
    json.dump(book, sys.stdout)
