"""Text to token ids and back, by the `tokenizer.json` beside a model's weights.

What a user writes is text, never markup: `<|im_end|>` inside it is spelled out in ordinary
tokens and cannot end a message. Only the model's own chat template makes special tokens.
Does not import torch. Called by the learner, serving and the command line.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import tokenizers

from riverrun.beginnings import num_shared
from riverrun.byte_symbols import bytes_of
from riverrun.chat import ChatTemplate, check
from riverrun.errors import ModelError


class Tokenizer:
    """The tokenizer of one model directory; safe to share between threads."""

    def __init__(self, directory: Path) -> None:
        """
        Raises:
            ModelError: no `tokenizer.json` in `directory`, or one that cannot be read.
        """
        self.directory = directory
        path = directory / "tokenizer.json"
        try:
            # Read by us: the library reports a missing file as a bare Exception.
            self._tokenizer = tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ModelError(f"{path}: {error.strerror}") from error
        except Exception as error:  # the library raises nothing narrower
            raise ModelError(f"{path}: {error}") from error
        self._tokenizer.encode_special_tokens = True
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        added = self._tokenizer.get_added_tokens_decoder()
        self.special_ids = frozenset(i for i, token in added.items() if token.special)
        self._markup = _markup([token for token in added.values() if token.special])
        self._bytes: dict[int, bytes] = {}

        config = _read(directory / "config.json")
        words = _read(directory / "tokenizer_config.json")
        generation = _read(directory / "generation_config.json")
        names = {key: _content(words.get(key)) for key in ("bos_token", "eos_token", "pad_token")}
        sources = (generation, config)
        self.bos_id = self._first(sources, "bos_token_id", names["bos_token"])
        self.pad_id = self._first(sources, "pad_token_id", names["pad_token"])
        self.eos_ids = self._eos_ids(sources, names["eos_token"])
        self._template = _template(directory, words, names)

    @property
    def vocab_size(self) -> int:
        """How many ids have a text; the model's own vocabulary may be padded beyond it."""
        return int(self._tokenizer.get_vocab_size(with_added_tokens=True))

    @property
    def is_byte_level(self) -> bool:
        """Whether every token stands for fixed bytes, whatever its neighbours are."""
        return isinstance(self._tokenizer.decoder, tokenizers.decoders.ByteLevel)

    def encode(self, text: str) -> list[int]:
        """The ids of `text` alone: no special tokens are added, and none are recognised in it."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def fewest_tokens(self, text: str) -> int:
        """`encode` gives at least so many, told by the bytes alone; 0 where these tell nothing."""
        longest = self._longest_bytes
        if longest is None:
            return 0
        normalizer = self._tokenizer.normalizer
        if normalizer is not None:
            text = normalizer.normalize_str(text)
        return -(-len(text.encode()) // longest)

    @cached_property
    def _longest_bytes(self) -> int | None:
        """Bytes of text that one token can stand for; None where it can be any number."""
        if not self.is_byte_level:
            return None
        vocabulary = self._tokenizer.get_vocab(with_added_tokens=True).items()
        # No text gives a special token.
        return max(len(bytes_of(token)) for token, i in vocabulary if i not in self.special_ids)

    def decode(self, ids: Sequence[int], *, keep_special: bool = False) -> str:
        """The text of `ids`; bytes that are not UTF-8 become U+FFFD."""
        return str(self._tokenizer.decode(ids, skip_special_tokens=not keep_special))

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes that a token stands for; empty for an id without a text. Byte-level only."""
        known = self._bytes.get(token_id)
        if known is None:
            token = self._tokenizer.id_to_token(token_id) or ""
            known = self._bytes[token_id] = bytes_of(token)
        return known

    @property
    def has_chat_template(self) -> bool:
        return self._template is not None

    def chat(
        self, messages: Sequence[Mapping[str, str]], add_generation_prompt: bool = True
    ) -> list[int]:
        """The ids of a conversation, ready for the assistant's reply. Raises as `chat_pieces`."""
        return self.encode_pieces(self.chat_pieces(messages, add_generation_prompt))

    def encode_pieces(self, pieces: Iterable[str | int]) -> list[int]:
        """The ids of texts, one after the other, with the ids that stand between them."""
        ids: list[int] = []
        for piece in pieces:
            ids += [piece] if isinstance(piece, int) else self.encode(piece)
        return ids

    def chat_pieces(
        self, messages: Sequence[Mapping[str, str]], add_generation_prompt: bool = True
    ) -> list[str | int]:
        """The texts of a conversation, with the ids of the special tokens between them.

        Encoded, they equal encoding the rendered template with special tokens, except that those
        which occur inside a message are spelled out as text: they are hidden while the template
        renders, so that what it did not write cannot become markup.

        Raises:
            InvalidValue: messages that are malformed or that the template refuses.
            ModelError: the model has no chat template.
        """
        if self._template is None:
            raise ModelError("this model has no chat template; give it plain text instead")
        check(messages)
        if self._markup is None:
            return [self._template.render(messages, add_generation_prompt=add_generation_prompt)]
        guard = _Guard(self._markup, messages)
        hidden = [{key: guard.hide(text) for key, text in m.items()} for m in messages]
        rendered = self._template.render(hidden, add_generation_prompt=add_generation_prompt)
        pieces: list[str | int] = []
        end = 0
        for marker in self._markup.finditer(rendered):
            pieces.append(guard.show(rendered[end : marker.start()]))
            pieces.append(self._special_id(marker[marker.lastindex or 0]))
            end = marker.end()
        return [*pieces, guard.show(rendered[end:])]

    @cached_property
    def common_beginning(self) -> list[int]:
        """The tokens with which every conversation begins, whatever the user says."""
        if not self.has_chat_template:
            return []
        one, other = (self.chat([{"role": "user", "content": text}]) for text in ("So", "1"))
        return one[: num_shared(one, other)]

    def _special_id(self, content: str) -> int:
        found = self._tokenizer.token_to_id(content)
        assert found is not None, content
        return found

    def _first(
        self, sources: Iterable[Mapping[str, Any]], key: str, word: str | None
    ) -> int | None:
        for source in sources:
            if isinstance(source.get(key), int):
                return int(source[key])
        found = self._tokenizer.token_to_id(word) if word is not None else None
        return None if found is None else int(found)

    def _eos_ids(self, sources: Iterable[Mapping[str, Any]], word: str | None) -> frozenset[int]:
        for source in sources:
            named = source.get("eos_token_id")
            if named is not None:
                return frozenset([named] if isinstance(named, int) else named)
        found = self._tokenizer.token_to_id(word) if word is not None else None
        return frozenset() if found is None else frozenset([int(found)])


class _Guard:
    """Hides special tokens inside messages behind marks that no message contains."""

    def __init__(self, markup: re.Pattern[str], messages: Sequence[Mapping[str, str]]) -> None:
        self._markup = markup
        self._hidden: list[str] = []
        texts = [text for message in messages for text in message.values()]
        number = 0
        while any(f"\ue000{number}." in text for text in texts):
            number += 1
        self._start = f"\ue000{number}."

    def hide(self, text: str) -> str:
        return self._markup.sub(self._hide_one, text)

    def show(self, text: str) -> str:
        if not self._hidden:
            return text
        mark = re.escape(self._start) + r"(\d+)\ue001"
        return re.sub(mark, lambda found: self._hidden[int(found[1])], text)

    def _hide_one(self, found: re.Match[str]) -> str:
        self._hidden.append(found[0])
        return f"{self._start}{len(self._hidden) - 1}\ue001"


def _markup(special: Sequence[tokenizers.AddedToken]) -> re.Pattern[str] | None:
    """Matches any special token, the longest first, with the blanks that it swallows."""
    if not special:
        return None
    blanks = r"\s*"
    patterns = [
        f"{blanks * token.lstrip}({re.escape(token.content)}){blanks * token.rstrip}"
        for token in sorted(special, key=lambda token: -len(token.content))
    ]
    return re.compile("|".join(patterns))


def _template(
    directory: Path, words: Mapping[str, Any], names: Mapping[str, str | None]
) -> ChatTemplate | None:
    source = words.get("chat_template")
    if isinstance(source, list):  # several, by name
        source = {one["name"]: one["template"] for one in source}.get("default")
    own_file = directory / "chat_template.jinja"
    if own_file.is_file():
        source = own_file.read_text(encoding="utf-8")
    if not isinstance(source, str):
        return None
    return ChatTemplate(source, {key: word for key, word in names.items() if word is not None})


def _read(path: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except FileNotFoundError:
        return {}
    except msgspec.DecodeError as error:
        raise ModelError(f"{path}: {error}") from error


def _content(word: object) -> str | None:
    """A special token is written as its text, or as an object that holds it."""
    if isinstance(word, dict):
        word = word.get("content")
    return word if isinstance(word, str) else None
