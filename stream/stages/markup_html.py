"""The text of an HTML page: without scripts, menus and forms, a line for each block.

What is preformatted keeps its lines and spaces. The parser (lexbor) takes time quadratic in the
depth of nesting, so that a text nested deeper than any page only has its tags taken out.
Called by the markup stage.
"""

import html
import re
from collections import Counter

UNSEEN = (
    "head,script,style,noscript,template,nav,header,footer,aside,form,button,select,svg,canvas,"
    "iframe,object,dialog,[hidden],[aria-hidden=true]"
)

PARAGRAPHS = "p,h1,h2,h3,h4,h5,h6,blockquote,pre,table,ul,ol,dl,figure,section,article"
LINES = "div,li,tr,dt,dd,br,hr,figcaption,caption,address,details,summary,main"

# Characters for private use stand for spaces that must stay, and for ends of lines and paragraphs.
# They cannot be in the page: normalization is not asked to keep them, and what is there is dropped.
KEPT_SPACE, KEPT_NEWLINE, KEPT_TAB, LINE, PARAGRAPH = "\ue100\ue101\ue102\ue103\ue104"
OURS = re.compile("[\ue100-\ue104]")
KEEP = str.maketrans({" ": KEPT_SPACE, "\n": KEPT_NEWLINE, "\t": KEPT_TAB})
RESTORE = str.maketrans({KEPT_SPACE: " ", KEPT_NEWLINE: "\n", KEPT_TAB: "\t"})

SPACES = re.compile(r"[ \t\n\r\f]+")
BREAKS = re.compile(f" *[{LINE}{PARAGRAPH}][{LINE}{PARAGRAPH} ]*")

TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9-]{0,30})")
ANY_TAG = re.compile(r"</?[a-zA-Z!?][^<>]*+>")
NO_DEPTH = frozenset(
    [
        "p",
        "li",
        "dt",
        "dd",
        "tr",
        "td",
        "th",
        "option",
        "br",
        "hr",
        "img",
        "input",
        "meta",
        "link",
        "area",
        "base",
        "col",
        "embed",
        "source",
        "track",
        "wbr",
        "html",
        "head",
        "body",
        "thead",
        "tbody",
        "tfoot",
        "colgroup",
    ]
)
"""Elements without content, or whose end may be left out: these do not nest by themselves."""

MAX_DEPTH = 500


def text_of_html(page: str) -> str:
    """What a reader of the page sees."""
    page = OURS.sub("", page)
    if depth(page) > MAX_DEPTH:
        return without_tags(page)
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(page)
    body = tree.body
    if body is None:
        return without_tags(page)
    for node in body.css(UNSEEN):
        # A script in a menu went with the menu.
        if node.parent is not None:
            node.decompose(recursive=True)
    for node in body.css("pre"):
        node.replace_with(f"{PARAGRAPH}{node.text().strip(chr(10)).translate(KEEP)}{PARAGRAPH}")
    for selector, mark in ((PARAGRAPHS, PARAGRAPH), (LINES, LINE)):
        for node in body.css(selector):
            start = "- " if node.tag == "li" else ""
            if start and node.first_child is not None:
                node.first_child.insert_before(start)
            node.insert_before(mark)
            node.insert_after(mark)
    for node in body.css("td,th"):
        node.insert_after(" ")
    return arranged(body.text())


def arranged(text: str) -> str:
    """Text with our marks as lines and paragraphs."""
    text = SPACES.sub(" ", text)
    text = BREAKS.sub(lambda found: "\n\n" if PARAGRAPH in found[0] else "\n", text)
    return text.strip().translate(RESTORE)


def depth(page: str) -> int:
    """How many elements are open at once at most; more than that is not nested in the page."""
    opened: Counter[str] = Counter()
    now, most = 0, 0
    for slash, name in TAG.findall(page):
        tag = name.lower()
        if tag in NO_DEPTH:
            continue
        if not slash:
            opened[tag] += 1
            now += 1
            most = max(most, now)
        elif opened[tag]:
            opened[tag] -= 1
            now -= 1
    return most


def without_tags(page: str) -> str:
    return html.unescape(ANY_TAG.sub(" ", without_comments(page))).strip()


def without_comments(page: str) -> str:
    """By hand: a regular expression tries the end of the page for each comment that has none."""
    parts, at = [], 0
    while (start := page.find("<!--", at)) >= 0 and (end := page.find("-->", start + 4)) >= 0:
        parts.append(page[at:start])
        at = end + 3
    return "".join([*parts, page[at:]])
