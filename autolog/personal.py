"""Find personal data in texts: mail addresses, card numbers, phone numbers and keys, each replaced by a mark."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from autolog.errors import InvalidSetting
from autolog.redact import is_secret_field, redact_keys
from autolog.texts import rewritten

Replace = Callable[[str], str]

_MARKS = {"key": "[key]", "email": "[email]", "card": "[card]", "phone": "[phone]"}
KINDS = tuple(_MARKS)
"""What can be found, in the order in which it is looked for: a card's digits may look like a phone number."""
_NEEDS = {"card": ("stdnum", "python-stdnum"), "phone": ("phonenumbers", "phonenumbers")}


class Redactor:
    """Replaces the chosen kinds of personal data in texts, and in every text of a value.

    Raises `InvalidSetting` for a kind that there is not, or whose library is not installed. `region`, such as `DE`,
    is where phone numbers without a country's prefix are from; without it only numbers that begin with `+` are found.
    """

    def __init__(self, kinds: Iterable[str], region: str | None = None) -> None:
        self.kinds = _known(kinds)
        builders: dict[str, Callable[[], Replace]] = {
            "key": lambda: _without_keys,
            "email": lambda: _without_emails,
            "card": _card_finder,
            "phone": lambda: _phone_finder(region),
        }
        self._replacers = [builders[kind]() for kind in KINDS if kind in self.kinds]

    def text(self, text: str) -> str:
        """Return `text` with what was found in it replaced; a text that is JSON stays JSON."""
        if text[:1] in ("{", "["):
            parsed = _parsed(text)
            if parsed is not None:
                changed = rewritten(parsed, self.leaf)
                return text if changed is parsed else json.dumps(changed, ensure_ascii=False)
        for replace in self._replacers:
            text = replace(text)
        return text

    def leaf(self, value: Any, name: str) -> Any:
        """Return what to put in place of a text or an integer that has this name; see `texts.rewritten`."""
        if isinstance(value, str):
            if name and value and "key" in self.kinds and is_secret_field(name):
                return _MARKS["key"]
            replaced = self.text(value)
            return value if replaced == value else replaced
        if "card" in self.kinds and value >= _SMALLEST_CARD and _CARD.fullmatch(str(value)) and _is_card(str(value)):
            return _MARKS["card"]
        return value


def _known(kinds: Iterable[str]) -> tuple[str, ...]:
    chosen = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    for kind in chosen:
        if kind not in _MARKS:
            raise InvalidSetting(f"redact can't find {kind!r}; there are: {', '.join(KINDS)}")
        module, distribution = _NEEDS.get(kind, ("re", ""))
        if importlib.util.find_spec(module) is None:
            raise InvalidSetting(
                f"redact={kind!r} needs {distribution}: pip install 'autolog-tracing[redact]'. "
                "Nothing is redacted as long as it is missing."
            )
    return chosen


def _parsed(text: str) -> Any:
    """Return the object or array that `text` is, or `None`."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, (dict, list)) else None


# --- keys ----------------------------------------------------------------------------------------------------

# By a text that each has in it, which is found much faster than the pattern is.
_MORE_KEYS = {
    sign: re.compile(pattern, re.DOTALL)
    for sign, pattern in {
        "PRIVATE KEY": r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?"
        r"(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)",
        "AKIA": r"\bAKIA[A-Z0-9]{16}\b",  # AWS, for long and for a while
        "ASIA": r"\bASIA[A-Z0-9]{16}\b",
        "github_pat_": r"\bgithub_pat_\w{20,}",
        "gh": r"\bgh[pousr]_[A-Za-z0-9]{20,}",
        "xox": r"\bxox[a-z]-[A-Za-z0-9-]{10,}",  # Slack
        "xapp-": r"\bxapp-[A-Za-z0-9-]{10,}",
        "k_live_": r"\b[srp]k_live_[A-Za-z0-9]{10,}",  # Stripe
        "k_test_": r"\b[srp]k_test_[A-Za-z0-9]{10,}",
        "whsec_": r"\bwhsec_[A-Za-z0-9+/]{10,}",
        "ya29.": r"\bya29\.[\w-]{20,}",  # Google
        "npm_": r"\bnpm_[A-Za-z0-9]{30,}",
        "pypi-": r"\bpypi-[\w-]{50,}",
        "SG.": r"\bSG\.[\w-]{16,}\.[\w-]{16,}",  # SendGrid
        "AccountKey=": r"(?<=AccountKey=)[A-Za-z0-9+/]{20,}={0,2}",  # Azure
        "Basic ": r"(?<=Basic )[A-Za-z0-9+/]{16,}={0,2}",
    }.items()
}
# `password: …` and its like in plain text.
_ASSIGNED = re.compile(
    r"((?:api[_-]?key|secret|passwd|password|access[_-]?token|auth[_-]?token)[\w-]{0,20}"
    r"[\"']?\s{0,3}[:=]\s{0,3}[\"']?)([^\s\"',;&<>\[\]]{6,})",
    re.IGNORECASE,
)
_ASSIGNED_SIGNS = ("key", "secret", "passw", "token")


def _without_keys(text: str) -> str:
    mark = _MARKS["key"]
    text = redact_keys(text, mark)
    for sign, pattern in _MORE_KEYS.items():
        if sign in text:
            text = pattern.sub(mark, text)
    lowered = text.lower()
    return _ASSIGNED.sub(rf"\g<1>{mark}", text) if any(sign in lowered for sign in _ASSIGNED_SIGNS) else text


# --- mail addresses ------------------------------------------------------------------------------------------

# From the `@` in both directions: looking for the part before it first would take a long time on a long text.
_DOMAIN = re.compile(
    r"(?:@|%40)(?:(?:[\w-]{1,63}\.){1,20}(?:xn--[\w-]{1,59}|[^\W\d_]{2,63})(?![\w-])|\[[0-9a-fA-F.:]{3,45}\])"
)
_LOCAL_PART = re.compile(r"""(?:\w[\w.!$*+~^%'-]{0,63}|"[^"\n]{1,62}")\Z""")
_LONGEST_LOCAL_PART = 64


def _without_emails(text: str) -> str:
    if "@" not in text and "%40" not in text:
        return text
    parts: list[str] = []
    done = 0
    for domain in _DOMAIN.finditer(text):
        start = max(done, domain.start() - _LONGEST_LOCAL_PART)
        local = _LOCAL_PART.search(text[start : domain.start()])
        if local is not None:
            parts += (text[done : start + local.start()], _MARKS["email"])
            done = domain.end()
    return "".join((*parts, text[done:])) if parts else text


# --- card numbers --------------------------------------------------------------------------------------------

_GAP = r"[\s._/\u00a0\u2009\u202f\u2010-\u2015-]{1,3}"
# As the networks give them out, and written in one piece, in the groups that are printed, or spelt digit by digit.
_CARD = re.compile(
    rf"""
    (?<!\d)(?<!\d\.)(?:
        (?:[3-6]\d|2[2-7])\d{{10,17}}
      | (?:[3-6]\d|2[2-7])\d\d{_GAP}\d{{4}}{_GAP}\d{{4}}{_GAP}\d{{1,4}}(?:{_GAP}\d{{1,3}})?
      | 3\d{{3}}{_GAP}\d{{6}}{_GAP}\d{{4,5}}
      | (?<!\d[\s,-])(?<!\d,\s)[2-6](?:(?:,\s|[\s,-])\d){{12,18}}(?!(?:,\s|[\s,-])?\d)
    )(?!\d)
    """,
    re.VERBOSE,
)
_DIGITS = range(12, 20)
_SMALLEST_CARD = 10**11
# Looking at one takes some 10 µs: beyond so many in one text, what looks like a card counts as one.
_MOST_CARDS_LOOKED_AT = 20_000
_TWELVE_DIGITS = re.compile(r"\d(?:[^\d]{0,3}\d){11}")


def _is_card(digits: str) -> bool:
    from stdnum import luhn

    return len(digits) in _DIGITS and bool(luhn.is_valid(digits))


def _card_finder() -> Replace:
    return _without_cards


def _without_cards(text: str) -> str:
    if _TWELVE_DIGITS.search(text) is None:
        return text
    parts: list[str] = []
    done = place = looked_at = 0
    while (found := _CARD.search(text, place)) is not None:
        looked_at += 1
        end = _card_end(found.group()) if looked_at <= _MOST_CARDS_LOOKED_AT else len(found.group())
        if end is None:  # a number before a card's groups is not part of it: look again from its second digit
            place = found.start() + 1
            continue
        parts += (text[done : found.start()], _MARKS["card"])
        done = place = found.start() + end
    return "".join((*parts, text[done:])) if parts else text


def _card_end(found: str) -> int | None:
    """Return where a card number ends that begins here: with all groups, or without the last, a check code."""
    groups = [group.end() for group in re.finditer(r"\d+", found)]
    for end in groups[: -3 if len(groups) > 2 else None : -1]:
        digits = "".join(digit for digit in found[:end] if digit.isdigit())
        if digits.isascii() and _is_card(digits):
            return end
    return None


# --- phone numbers -------------------------------------------------------------------------------------------

_BETWEEN = r"[\s().\[\]/~\u00a0\u00ad\u2010-\u2015\u2212\u30fc\uff08\uff09\uff0d-\uff0f\u2060-]{0,4}"
_INTERNATIONAL = re.compile(rf"[+\uff0b]\(?\d(?:{_BETWEEN}\d){{6,19}}")
_ANY_NUMBER = re.compile(rf"(?:[+\uff0b]\(?|\()?\d(?:{_BETWEEN}\d){{6,19}}")
# What the library looks at besides the number: a letter or a currency before it, an extension after it.
_BEFORE, _AFTER = 2, 24
# The library takes up to 0.5 ms for a candidate: beyond so many in one text, what looks like a number counts as one.
_MOST_LOOKED_AT = 1_000


def _phone_finder(region: str | None) -> Replace:
    import phonenumbers

    if region is not None and region not in phonenumbers.SUPPORTED_REGIONS:
        raise InvalidSetting(f"redact_region must be the two letters of a country, such as 'DE', not {region!r}")
    candidates = _INTERNATIONAL if region is None else _ANY_NUMBER

    def without_phones(text: str) -> str:
        parts: list[str] = []
        done = place = looked_at = 0
        while (found := candidates.search(text, place)) is not None:
            looked_at += 1
            place = found.end()
            if looked_at > _MOST_LOOKED_AT:
                parts += (text[done : found.start()], _MARKS["phone"])
                done = place
                continue
            start = max(done, found.start() - _BEFORE)
            for number in _numbers(text[start : found.end() + _AFTER], region, found.group()):
                if start + number.start < found.end():
                    parts += (text[done : start + number.start], _MARKS["phone"])
                    done = start + number.end
            place = max(place, done)
        return "".join((*parts, text[done:])) if parts else text

    return without_phones


def _numbers(text: str, region: str | None, candidate: str) -> Sequence[Any]:
    from phonenumbers import Leniency, PhoneNumberMatcher

    # Nothing but a phone number is written with a plus and so many digits.
    leniency = Leniency.POSSIBLE if candidate[0] in "+\uff0b" else Leniency.VALID
    return list(PhoneNumberMatcher(text, region, leniency))
