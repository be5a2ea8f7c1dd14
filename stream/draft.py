"""A document in progress: what one stage hands to the next.

Knows nothing of records and topics. Made by the pipeline; a stage returns it, or another one.
"""

from typing import Literal

import msgspec

Markup = Literal["html", "markdown", "plain"]


class Draft(msgspec.Struct, frozen=True):
    """The text as it is now, and what is known of it.

    markup: what the text is written in; None: nobody said. language: an ISO 639-1 code, from
    the record or guessed.
    """

    text: str
    markup: Markup | None = None
    language: str | None = None

    def with_text(self, text: str) -> "Draft":
        """The same with another text; the same draft when the text is the same object."""
        return self if text is self.text else Draft(text, self.markup, self.language)
