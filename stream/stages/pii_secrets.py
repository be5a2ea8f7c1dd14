"""Keys and tokens that services give out: each has a beginning of its own, so that it is known.

Called by the pii stage. Knows nothing of passwords without a form.
"""

import re

BEGINNINGS = (
    *("AKIA", "ASIA", "AIza", "glpat-", "xox", "pypi-", "eyJ", "SG."),
    *("PRIVATE KEY", "earer "),
)
UNDERSCORED = (
    *("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "hf_", "npm_"),
    *("k_live_", "k_test_", "dop_v1_"),
)
"""One of these is in every text with a secret that we know; the second kind beside a `_`. Two more
are asked for with what goes with them, since `disk-` and `https://` are in many texts."""

SK = re.compile(r"sk-(?<![A-Za-z0-9_-]sk-)[A-Za-z0-9_-]{20}")

SECRET = re.compile(
    # A key's lines and no more: a text that only names the form goes on behind it. In JSON and in
    # settings line ends are written `\n`.
    r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,4}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:(?:\s|\\[nr])*+"
    r"(?:[A-Za-z0-9+/=]{16,}+|(?:Proc-Type|DEK-Info|Version|Comment): [^\n\\]*+))*+"
    r"(?:(?:(?:\s|\\[nr])*+[A-Za-z0-9+/=]{1,15}+){0,2}+(?:\s|\\[nr])*+"
    r"-----END (?:[A-Z0-9]{1,12} ){0,4}PRIVATE KEY(?: BLOCK)?-----)?"
    r"|(?<![A-Za-z0-9_-])(?:"
    r"A(?:KIA|SIA)[A-Z0-9]{16}"  # AWS
    r"|gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_\w{22,255}"  # GitHub
    r"|glpat-[\w-]{20,255}"  # GitLab
    r"|xox[bpars]-[A-Za-z0-9-]{10,255}"  # Slack
    r"|AIza[\w-]{35}"  # Google
    r"|sk-[A-Za-z0-9_-]{20,255}"  # OpenAI, Anthropic and others in their manner
    r"|[sr]k_(?:live|test)_[A-Za-z0-9]{16,255}"  # Stripe
    r"|hf_[A-Za-z0-9]{30,255}|npm_[A-Za-z0-9]{36}|pypi-AgEI[\w-]{50,255}"
    r"|SG\.[\w-]{16,32}\.[\w-]{32,64}|dop_v1_[a-f0-9]{64}"
    r"|eyJ[\w-]{10,2000}\.eyJ[\w-]{10,4000}\.[\w-]{10,1000}"  # a JSON web token
    r")(?![A-Za-z0-9_-])"
    r"|(?<=[Bb]earer )[A-Za-z0-9._~+/-]{20,2000}={0,2}(?![A-Za-z0-9._~+/=-])"
    # The name and password of a URL; the host stays.
    r"|(?<=://)[^\s/:@\[\]]{1,64}:[^\s/@\[\]]{1,128}(?=@)"
)

MASK = "[SECRET]"


def has_secret_beginning(text: str) -> bool:
    # A loop takes half the time of `any`, and this is asked of every text.
    for beginning in BEGINNINGS:
        if beginning in text:
            return True
    if "_" in text and any(beginning in text for beginning in UNDERSCORED):
        return True
    return ("://" in text and "@" in text) or ("sk-" in text and SK.search(text) is not None)


def mask_secrets(text: str) -> str:
    return SECRET.sub(MASK, text)
