"""The printable characters by which byte-level tokenizers write bytes.

Bytes that print are themselves; the other 68 follow, in order, from U+0100 on. Called by
`riverrun/tokenizer.py` and `riverrun/model/tiny.py`.

Source: GPT-2's `bytes_to_unicode`.
"""


def _symbols() -> list[str]:
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    symbols, next_free = [], 0x100
    for byte in range(256):
        symbols.append(chr(byte if byte in printable else next_free))
        next_free += byte not in printable
    return symbols


SYMBOLS = _symbols()
"""The symbol of each byte, in byte order."""
BYTES = {symbol: byte for byte, symbol in enumerate(SYMBOLS)}


def bytes_of(token: str) -> bytes:
    """What a token stands for; one that is not written in symbols throughout is itself."""
    try:
        return bytes(BYTES[symbol] for symbol in token)
    except KeyError:
        return token.encode()
