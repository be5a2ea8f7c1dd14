"""HTML and Markdown to the text that a reader sees.

Only for records that say what they are in (content type `text/html`, `text/markdown`), or whose
profile assumes it: a `<` in plain text or code is the author's. Called by the pipeline.
"""

from riverrun.settings.profile import ProfileSettings
from stream.draft import Draft, Markup
from stream.stages.markup_html import text_of_html
from stream.stages.markup_markdown import text_of_markdown

CONTENT_TYPES: dict[str, Markup] = {
    "text/html": "html",
    "application/xhtml+xml": "html",
    "text/markdown": "markdown",
    "text/x-markdown": "markdown",
    "text/plain": "plain",
}

MAX_GROWTH = 2.0
"""List items gain a dash, cells a bar and blocks an empty line; each had a tag or a mark before."""


def markup_of(kind: str | None) -> Markup | None:
    """What a content type says that the text is written in; `kind` is bare and lower case."""
    return CONTENT_TYPES.get(kind or "")


def plain_text(draft: Draft, profile: ProfileSettings) -> Draft:
    """The draft as plain text."""
    markup = draft.markup
    if markup is None and profile.assume_markup != "none":
        markup = profile.assume_markup
    if markup is None or markup == "plain":
        return draft
    text = text_of_html(draft.text) if markup == "html" else text_of_markdown(draft.text)
    return Draft(text, "plain", draft.language)
