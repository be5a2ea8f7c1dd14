"""The text of a Markdown document: without marks for emphasis, links and headings.

Lists keep their dashes and numbers, code stays as it is, a picture is its description, a link its
words. Source: CommonMark with tables, by markdown-it-py, which bounds nesting itself.
Called by the markup stage.
"""

import functools
from typing import TYPE_CHECKING, Any

from stream.stages.markup_html import text_of_html

if TYPE_CHECKING:
    from markdown_it.token import Token

MAX_NESTING = 20


def text_of_markdown(source: str) -> str:
    """What a reader of the document sees."""
    blocks: list[tuple[str, bool]] = []
    items: list[str] = []
    cells: list[str] | None = None
    tight = False
    for token in _parser().parse(source):
        match token.type:
            case "paragraph_open":
                tight = token.hidden
            case "heading_open":
                tight = False
            case "inline" if cells is not None:
                cells.append(inline_text(token))
            case "inline":
                blocks.append(("".join(items[-1:]) + inline_text(token), tight))
                if items:
                    items[-1] = " " * len(items[-1])
            case "fence" | "code_block":
                blocks.append((token.content.rstrip("\n"), False))
            case "list_item_open":
                items.append("  " * len(items) + (f"{token.info}. " if token.info else "- "))
            case "list_item_close":
                items.pop()
            case "tr_open":
                cells = []
            case "tr_close":
                # Short rows come filled with empty cells.
                blocks.append((" | ".join(cells or ()).rstrip(" |"), True))
                cells = None
            case "html_block":
                blocks.append((text_of_html(token.content), False))
    return joined(blocks)


def joined(blocks: list[tuple[str, bool]]) -> str:
    """Blocks with an empty line between them, but between items of a tight list and table rows."""
    parts = []
    after_tight = False
    for text, tight in blocks:
        if text.strip():
            parts += ["\n" if tight and after_tight else "\n\n", text]
            after_tight = tight
    return "".join(parts[1:])


def inline_text(token: "Token") -> str:
    """The words of a paragraph, heading or cell."""
    parts = []
    for child in token.children or ():
        match child.type:
            case "text" | "code_inline" | "text_special":
                parts.append(child.content)
            case "softbreak" | "hardbreak":
                parts.append("\n")
            case "image":
                parts.append(child.content)
    return "".join(parts)


@functools.cache
def _parser() -> Any:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"maxNesting": MAX_NESTING}).enable("table")
