"""The grammar of filters, and what is said of a text that does not follow it."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from autolog.errors import InvalidQuery

if TYPE_CHECKING:
    from lark import Token, Tree

GRAMMAR = r"""
?any: all (_OR all)*
?all: one (_AND one)*
?one: _NOT one                                          -> negation
    | "(" any ")"                                       -> group
    | FIELD COMPARATOR value                            -> compared
    | FIELD [NOT] _IN "(" value ("," value)* ")"        -> among
    | FIELD [NOT] BETWEEN value _AND value              -> between
    | FIELD [NOT] (LIKE|ILIKE|RLIKE|CONTAINS) value     -> matched
    | FIELD _IS [NOT] NULL                              -> absent

?value: STRING | NUMBER | DURATION | TRUE | FALSE
      | NOW (SIGN DURATION)*                            -> moment

// A name, and keys that may be quoted: name, tags.version, tags.`my key`, span.attributes.gen_ai.request.model
FIELD: /(?:[^\W\d]\w*|`[^`]*`)(?:\.(?:[\w\-\/@$]+|`[^`]*`|"[^"]*"))*/
COMPARATOR: /<>|[<>!]=|[=<>]/
STRING: /'(?:[^']|'')*'|"(?:[^"]|"")*"/
NUMBER: /[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?(?![\w.])/i
DURATION: /(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|ms|s|m|h|d|w)(?![\w.])/i
SIGN: "+" | "-"
NOW.2: /now\s*\(\s*\)/i

_AND.2: /and(?![\w.])/i
_OR.2: /or(?![\w.])/i
_NOT.2: /not(?![\w.])/i
NOT.2: /not(?![\w.])/i
_IN.2: /in(?![\w.])/i
_IS.2: /is(?![\w.])/i
BETWEEN.2: /between(?![\w.])/i
LIKE.2: /like(?![\w.])/i
ILIKE.2: /ilike(?![\w.])/i
RLIKE.2: /rlike(?![\w.])/i
CONTAINS.2: /contains(?![\w.])/i
NULL.2: /null(?![\w.])/i
TRUE.2: /true(?![\w.])/i
FALSE.2: /false(?![\w.])/i

%ignore /\s+/
"""
LONGEST = 100_000
"""Characters of a filter."""
MOST_CONDITIONS = 200
DEEPEST = 50
"""Parentheses inside of one another."""
_SHOWN = 72


def tree(text: str) -> Tree[Token]:
    """Return what the filter is made of; raise `InvalidQuery` that shows where it is wrong, and how it may be meant."""
    from lark.exceptions import UnexpectedInput

    if len(text) > LONGEST:
        raise InvalidQuery(f"a filter has at most {LONGEST:,} characters, this one has {len(text):,}")
    try:
        reading = _parser().parse_interactive(text)
        depth = conditions = 0
        for token in reading.iter_parse():
            depth += (token.type == "LPAR") - (token.type == "RPAR")
            conditions += token.type in ("FIELD", "_NOT")
            if depth > DEEPEST + 1:
                raise wrong(text, token, f"parentheses are at most {DEEPEST} deep")
            if conditions > MOST_CONDITIONS:
                raise wrong(text, token, f"a filter has at most {MOST_CONDITIONS} conditions")
        found: Tree[Token] = reading.feed_eof()
    except UnexpectedInput as error:
        raise _explained(text, error) from None
    return found


@cache
def _parser() -> Any:
    # Imported here: most programs never search, and its import takes as long as ours.
    from lark import Lark

    return Lark(GRAMMAR, start="any", parser="lalr", maybe_placeholders=True)


def wrong(text: str, token: Any, message: str, length: int | None = None) -> InvalidQuery:
    """Return the error that shows `token` of the filter, or a place in it, and says what is wrong there."""
    start = token if isinstance(token, int) else token.start_pos
    end = start + (length or 1) if isinstance(token, int) else token.end_pos
    line_start = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", start)
    line = text[line_start : len(text) if line_end < 0 else line_end]
    at, length = start - line_start, max(min(end - start, len(line) - (start - line_start)), 1)
    before = max(at - _SHOWN // 2, 0)
    shown = "".join(letter if letter.isprintable() else " " for letter in line[before : before + _SHOWN])
    prefix = "…" if before else ""
    suffix = "…" if before + _SHOWN < len(line) else ""
    caret = " " * (at - before + len(prefix)) + "^" * min(length, _SHOWN - (at - before))
    place = (min(start, len(text)), min(max(end, start + 1), len(text)))
    return InvalidQuery(f"{message}\n  {prefix}{shown}{suffix}\n  {caret}", place)


# What stands at the wrong place, and what is said of it.
_MEANT = (
    (r"&&?", "write AND"),
    (r"\|\|?", "write OR"),
    (r"!", "write NOT, or != to compare"),
    (r"=?~", "write LIKE, or RLIKE for a regular expression"),
    (r"[\u2018-\u201e\u00ab\u00bb]", "write straight quotes: '…'"),
    (r"'(?!(?:[^']|'')*')|\"(?![^\"]*\")|`(?![^`]*`)", "this quote is never closed"),
    (r":", "write a dot before a key, as in tags.version, and = to compare"),
    (r"\.[`\"](?![^`\"]*[`\"])", "the quote behind this dot is never closed"),
    (r"\.", "a key with other signs than letters, digits and _ - / @ $ is put in quotes: tags.`my key`"),
    (r"(?<=\d\s)(?:ns|us|ms|s|m|h|d|w)\b", "a unit follows its number without a space: 2s"),
    (r";", "a filter is one condition; leave out the ;"),
    (r"%\w", "put the pattern in quotes: LIKE '%…%'"),
    (r"--|/\*|#", "a filter has no comments"),
)
_COMPARISONS = "=, !=, <, <=, >, >=, IN, LIKE, ILIKE, RLIKE, CONTAINS, BETWEEN or IS NULL"
_EXPECTED = (
    ("COMPARATOR", f"after {{last}}, a comparison is expected: {_COMPARISONS}"),
    ("BETWEEN", "NOT is followed by IN, LIKE, ILIKE, RLIKE, CONTAINS or BETWEEN here; else write it before the condition"),
    ("FIELD", "a condition is expected here, such as status = 'ERROR'"),
    ("NUMBER", "a value is expected here: text in quotes, or a number"),
    ("COMMA", "AND, OR or, in a list, a comma is expected here"),
    ("NULL", "NULL or NOT NULL is expected after IS"),
    ("DURATION", "a duration is expected here, such as 2s, 15m or 7d"),
    ("LPAR", "IN needs values in parentheses, such as IN ('a', 'b')"),
    ("RPAR", "a closing parenthesis is missing"),
    ("_AND", "AND is expected here, and the second value"),
)  # fmt: skip
_KEYWORDS = {
    "AND": "AND stands between two conditions",
    "OR": "OR stands between two conditions",
    "SELECT": "a filter is the condition alone, without SELECT and WHERE",
    "WHERE": "a filter is the condition alone, without WHERE",
}
_BARE = re.compile(r"[^\s()',\"]+")


def _explained(text: str, error: Any) -> InvalidQuery:
    token = getattr(error, "token", None)
    expected = set(error.expected if token is not None else error.allowed or ())
    if token is not None and token.type == "$END":
        ended = _expectation(text, expected)
        said = ended if expected == {"RPAR"} else f"the filter ends too early: {ended}"
        return wrong(text, len(text.rstrip()), said)
    at: int = error.pos_in_stream
    said, length = _said(text, at, expected)
    return wrong(text, at, said, length)


def _said(text: str, at: int, expected: set[str]) -> tuple[str, int]:
    """Return what is wrong at this place, and over how many characters."""
    bare = _BARE.match(text, at)
    length = len(bare[0]) if bare else 1
    if text[at - 1 : at + 1] == "==":
        return "write one = to compare", 1
    if text[at] == ")" and "FIELD" not in expected and "NUMBER" not in expected:
        return "this parenthesis was never opened", 1
    if at and text[at - 1] == "'" and (text[at].isalnum() or text[at] == "_"):
        return "a quote inside of a text is written twice: 'it''s'", 1
    if bare and "NUMBER" in expected and (bare[0][0].isalnum() or bare[0][0] == "_"):
        is_null = bare[0].lower() == "null"
        return "use IS NULL or IS NOT NULL" if is_null else f"text is put in quotes: '{bare[0][:60]}'", length
    for pattern, said in _MEANT:
        meant = re.compile(pattern).match(text, at)
        if meant:
            return said, len(meant[0])
    if "FIELD" in expected and text[at] in "'\"":
        return "a condition starts with a field, such as name = 'x'", 1
    return _expectation(text[:at], expected), length


def _expectation(before: str, expected: set[str]) -> str:
    last = before.rsplit(maxsplit=1)[-1][-60:] if before.split() else ""
    if "COMPARATOR" in expected and last.upper() in _KEYWORDS:
        return _KEYWORDS[last.upper()]
    return next((said.format(last=last) for name, said in _EXPECTED if name in expected), "this is not expected here")
