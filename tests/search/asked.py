"""Random filters, as data: written as a user writes them, and answered by looking at every trace."""

from __future__ import annotations

import json
import re
import unicodedata

from hypothesis import strategies as st

TEXTS = (
    "a", "b", "A", "ab", "aXb", "it's", '"q"', "100%", "a_b", "a%b", "\\", "a\\b", "x\0y", "é", "É", "e\u0301", "ß", "SS",
    "\u017f", "\u212a", "東京", "東", "", " ", "true", "3", "3.5", "[x]", "*", "?", "a*b", "ﬁ", "\U0001f600", "foo bar baz",
    "Foo  BAR", "line1\nline2", "tab\there", "Caf\u00e9 ol\u00e9", "don't", "x-1", "'; DROP TABLE traces; --", "\ufffd", "Привет мир",
)  # fmt: skip
KEYS = ("k", "l", "my key", 'odd "key', "é", "a.b", "x\0y", "a'b", "\\")
MODELS = ("gpt-4o", "claude", "é")
SPAN_NAMES = ("root", "step", "tool", "it's")
NUMBERS = (0, 1, 2, 3, 3.5, -1, 10, 1_000_000)
STATES = ("IN_PROGRESS", "OK", "ERROR", "CANCELLED")
STATUSES = ("UNSET", "OK", "ERROR", "CANCELLED")
TYPES = ("TOOL", "LLM", "CHAIN", "AGENT", "MEMORY")
PATTERNS = (
    "%",
    "_",
    "a%",
    "%b",
    "%a%",
    "a_b",
    "a\\_b",
    "100\\%",
    "%\\\\%",
    "*",
    "[x]",
    "%'%",
    "%\0%",
    "é%",
    "É",
    "%",
    "%o%b%a%",
    "x%y",
    "ss",
)
REGEXES = ("a", "^a$", "[0-9]+", "(?i)CAF", ".*b", "\\\\", "é|ß")
PHRASES = (
    "foo bar",
    "foo",
    "foo baz",
    "bar*",
    "fo*",
    "cafe",
    "olé",
    "東",
    "東京",
    "x",
    "a b",
    "line1 line2",
    "3",
    "don t",
    "don't",
    "ss",
    "fi",
    "привет",
    "bar b*",
    "5",
)


def _missing(value):
    return value is None


# --- what a field is -----------------------------------------------------------------------------------------


def usage(owner, name):
    return getattr(owner.usage, name) if owner.usage is not None else None


OF_TRACE = {
    "name": ("text", lambda i: i.name),
    "session": ("text", lambda i: i.session),
    "user": ("text", lambda i: i.user),
    "experiment": ("text", lambda i: i.experiment),
    "run": ("text", lambda i: i.run),
    "version": ("text", lambda i: i.version),
    "client_request_id": ("text", lambda i: i.client_request_id),
    "request": ("text", lambda i: i.request_preview),
    "response": ("text", lambda i: i.response_preview),
    "trace_id": ("text", lambda i: i.trace_id),
    "status": (STATES, lambda i: str(i.state)),
    "timestamp": ("moment", lambda i: i.start_time_ns),
    "end_time": ("moment", lambda i: i.end_time_ns),
    "duration": ("duration", lambda i: i.duration_ns),
    "tokens": ("number", lambda i: trace_tokens(i)),
    "input_tokens": ("number", lambda i: usage(i, "input_tokens")),
    "output_tokens": ("number", lambda i: usage(i, "output_tokens")),
    "cost": ("number", lambda i: i.cost.total if i.cost else None),
    "spans": ("number", lambda i: i.span_count),
    "errors": ("number", lambda i: i.error_count),
}


def trace_tokens(info):
    total = usage(info, "total_tokens")
    return span_tokens(info) if total is None else total


def span_tokens(span):
    known = [n for n in (usage(span, "input_tokens"), usage(span, "output_tokens")) if n is not None]
    return sum(known) if known else None


OF_SPAN = {
    "type": (TYPES, lambda s: str(s.span_type)),
    "status": (STATUSES, lambda s: str(s.status.code)),
    "name": ("text", lambda s: s.name),
    "model": ("text", lambda s: s.model),
    "provider": ("text", lambda s: s.provider),
    "error": ("text", lambda s: s.attributes.get("error.type")),
    "duration": ("duration", lambda s: s.duration_ns),
    "tokens": ("number", span_tokens),
    "input_tokens": ("number", lambda s: usage(s, "input_tokens")),
    "output_tokens": ("number", lambda s: usage(s, "output_tokens")),
    "cost": ("number", lambda s: s.cost.total if s.cost else None),
    "inputs": ("payload", lambda s: [s.inputs]),
    "outputs": ("payload", lambda s: [s.outputs]),
    "text": ("payload", lambda s: [s.inputs, s.outputs]),
}
OF_ANY_SPAN = {"model": "model", "inputs": "inputs", "outputs": "outputs", "text": "text"}


# --- filters -------------------------------------------------------------------------------------------------

_texts = st.sampled_from(TEXTS)
_of_texts = st.one_of(
    st.tuples(st.sampled_from(["=", "!="]), _texts),
    st.tuples(st.sampled_from(["IN", "NOT IN"]), st.lists(_texts, min_size=1, max_size=3).map(tuple)),
    st.tuples(st.sampled_from(["LIKE", "NOT LIKE", "ILIKE", "NOT ILIKE"]), st.sampled_from(PATTERNS) | _texts),
    st.tuples(st.sampled_from(["CONTAINS", "NOT CONTAINS"]), st.sampled_from(PHRASES)),
    st.sampled_from([("IS NULL", None), ("IS NOT NULL", None)]),
)
_ordered_texts = st.one_of(
    st.tuples(st.sampled_from(["<", "<=", ">", ">="]), _texts),
    st.tuples(st.sampled_from(["BETWEEN", "NOT BETWEEN"]), st.tuples(_texts, _texts)),
)


def _of_numbers(numbers):
    return st.one_of(
        st.tuples(st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), numbers),
        st.tuples(st.sampled_from(["IN", "NOT IN"]), st.lists(numbers, min_size=1, max_size=3).map(tuple)),
        st.tuples(st.sampled_from(["BETWEEN", "NOT BETWEEN"]), st.tuples(numbers, numbers)),
        st.sampled_from([("IS NULL", None), ("IS NOT NULL", None)]),
    )


def _of_choices(names):
    return st.one_of(
        st.tuples(st.sampled_from(["=", "!="]), st.sampled_from(names)),
        st.tuples(
            st.sampled_from(["IN", "NOT IN"]), st.lists(st.sampled_from(names), min_size=1, max_size=3).map(tuple)
        ),
        st.tuples(st.sampled_from(["LIKE", "NOT LIKE", "ILIKE"]), st.sampled_from(["%O%", "%r", "OK", "nothing", "%"])),
        st.sampled_from([("IS NULL", None), ("IS NOT NULL", None)]),
    )


def _conditions(kind):
    if isinstance(kind, tuple):
        return _of_choices(kind)
    if kind == "text":
        return _of_texts | _ordered_texts
    if kind == "payload":
        return _of_texts
    if kind == "any":
        anything = st.sampled_from(NUMBERS) | _texts | st.booleans()
        return _of_texts | _ordered_texts | _of_numbers(anything)
    return _of_numbers(st.sampled_from(NUMBERS))


_KINDS = {
    **{("trace", name): kind for name, (kind, _) in OF_TRACE.items()},
    **{("span", name): kind for name, (kind, _) in OF_SPAN.items()},
    **{("any", name): OF_SPAN[of][0] for name, of in OF_ANY_SPAN.items()},
    **{(scope, key): "text" for scope in ("tags", "metadata") for key in KEYS},
    **{("span.attributes", key): "any" for key in KEYS},
    **{(scope, name): "any" for scope in ("feedback", "expectation") for name in ("score", "label")},
}


def _comparisons(fields):
    return st.sampled_from(fields).flatmap(
        lambda field: _conditions(_KINDS[field]).map(lambda c: ("compare", field, c[0], c[1]))
    )


_ALL_FIELDS = sorted(_KINDS)
_SPAN_FIELDS = [field for field in _ALL_FIELDS if field[0] in ("span", "span.attributes")]
comparisons = _comparisons(_ALL_FIELDS) | _comparisons(_SPAN_FIELDS)


def _combined(inner):
    parts = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.one_of(
        st.tuples(st.just("and"), parts),
        st.tuples(st.just("or"), parts),
        st.tuples(st.just("not"), inner.map(lambda x: (x,))),
    )


filters = st.recursive(comparisons, _combined, max_leaves=6)


# --- written -------------------------------------------------------------------------------------------------


def written(node):
    kind = node[0]
    if kind == "compare":
        _, field, sign, value = node
        return f"{_field(*field)} {sign}{'' if value is None else ' ' + _value(sign, value, _KINDS[field])}"
    if kind == "not":
        return f"NOT {_part(node[1][0])}"
    return f" {kind.upper()} ".join(_part(part) for part in node[1])


def _part(node):
    return written(node) if node[0] == "compare" else f"({written(node)})"


def _field(scope, name):
    if scope in ("trace", "any"):
        return name
    return f"{scope}.{name}" if re.fullmatch(r"\w+", name, re.ASCII) else f"{scope}.`{name}`"


def _value(sign, value, kind):
    if isinstance(value, tuple):
        joined = [_value(sign, one, kind) for one in value]
        return " AND ".join(joined) if "BETWEEN" in sign else f"({', '.join(joined)})"
    if isinstance(value, bool):
        return str(value).lower()
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)


# --- answered ------------------------------------------------------------------------------------------------


def holds(node, trace):
    kind = node[0]
    if kind == "not":
        return not holds(node[1][0], trace)
    if is_of_span(node):
        return any(holds_of(node, span) for span in trace.spans)
    if kind == "or":
        return any(holds(part, trace) for part in node[1])
    if kind == "and":
        same = [part for part in node[1] if is_of_span(part) and part[0] != "and"]
        others = [part for part in node[1] if part not in same]
        one = not same or any(all(holds_of(part, span) for part in same) for span in trace.spans)
        return one and all(holds(part, trace) for part in others)
    _, (scope, name), sign, value = node
    if scope == "trace":
        read, field_kind = OF_TRACE[name][1], OF_TRACE[name][0]
        if name == "trace_id" and "LIKE" not in sign:  # written in either case
            value = tuple(map(str.lower, value)) if isinstance(value, tuple) else value and value.lower()
        return compares([read(trace.info)], sign, value, field_kind)
    if scope == "any":
        of = OF_ANY_SPAN[name]
        field_kind, read = OF_SPAN[of]
        found = [value for span in trace.spans for value in (read(span) if field_kind == "payload" else [read(span)])]
        return compares(found, sign, value, field_kind)
    if scope in ("tags", "metadata"):
        return compares([getattr(trace.info, scope).get(name)], sign, value, "text")
    values = [
        a.value for a in trace.assessments if a.kind == scope and a.name == name and a.valid and a.value is not None
    ]
    if sign == "IS NULL":
        return not values
    return any(compares([one], sign, value, "assessment") for one in values)


def is_of_span(node):
    if node[0] == "compare":
        return node[1][0] in ("span", "span.attributes")
    if node[0] == "not":
        return False
    return all(is_of_span(part) for part in node[1]) and not (node[0] == "and" and any(p[0] == "and" for p in node[1]))


def holds_of(node, span):
    if node[0] == "and":
        return all(holds_of(part, span) for part in node[1])
    if node[0] == "or":
        return any(holds_of(part, span) for part in node[1])
    _, (scope, name), sign, value = node
    if scope == "span.attributes":
        return compares([span.attributes.get(name)], sign, value, "any")
    kind, read = OF_SPAN[name]
    return compares(read(span) if kind == "payload" else [read(span)], sign, value, kind)


def compares(found, sign, wanted, kind):
    found = [value for value in found if value is not None]
    if sign == "IS NULL":
        return not found
    if sign == "IS NOT NULL":
        return bool(found)
    negated = sign.startswith("NOT ") or sign == "!="
    sign = "=" if sign == "!=" else sign.removeprefix("NOT ")
    return bool(found) and any(meets(value, sign, wanted, kind) for value in found) is not negated


def meets(value, sign, wanted, kind):
    if kind == "payload":
        return any(meets(text, sign, wanted, "text") for text in payload_texts(value))
    if kind == "duration" and sign != "IS NULL":
        wanted = tuple(w * 1_000_000 for w in wanted) if isinstance(wanted, tuple) else wanted * 1_000_000
    if kind == "moment":  # small numbers are seconds
        wanted = tuple(w * 10**9 for w in wanted) if isinstance(wanted, tuple) else wanted * 10**9
    if sign == "BETWEEN":
        return meets(value, ">=", wanted[0], "same" if kind in ("duration", "moment") else kind) and meets(
            value, "<=", wanted[1], "same" if kind in ("duration", "moment") else kind
        )
    if sign == "IN":
        return any(meets(value, "=", one, "same" if kind in ("duration", "moment") else kind) for one in wanted)
    if kind == "assessment" and sign in "= < <= > >=".split():
        return any(ordered(value, sign, one) for one in readings(value, wanted))
    if kind == "assessment" and not isinstance(value, str):
        return False
    if kind == "any" and (isinstance(wanted, str)):
        value = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if sign in "= < <= > >=".split():
        return ordered(value, sign, wanted)
    return {"LIKE": like, "ILIKE": ilike, "CONTAINS": contains}[sign](value, wanted)


def readings(value, wanted):
    """What a quoted value may mean beside a text: a number, true or false."""
    if not isinstance(wanted, str) or isinstance(value, str):
        return [wanted]
    if wanted in ("true", "false"):
        return [wanted == "true"]
    return [float(wanted)] if re.fullmatch(r"-?\d+(\.\d+)?", wanted) else []


def ordered(value, sign, wanted):
    if isinstance(value, str) is not isinstance(wanted, str) or not isinstance(value, (str, int, float)):
        return False
    return {
        "=": value == wanted,
        "<": value < wanted,
        "<=": value <= wanted,
        ">": value > wanted,
        ">=": value >= wanted,
    }[sign]


def payload_texts(value):
    if isinstance(value, dict):
        return [text for item in value.values() for text in payload_texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in payload_texts(item)]
    return [] if value is None or isinstance(value, bool) else [str(value)]


def like(value, pattern):
    expression, escaped = "", False
    for sign in pattern:
        if escaped or sign not in "%_\\":
            expression, escaped = expression + re.escape(sign), False
        elif sign == "\\":
            escaped = True
        else:
            expression += {"%": ".*", "_": "."}[sign]
    return re.fullmatch(expression + (r"\\" if escaped else ""), value, re.DOTALL) is not None


def ilike(value, pattern):
    if pattern.isascii():
        lower = lambda text: "".join(c.lower() if c.isascii() else c for c in text)
        return like(lower(value), lower(pattern))
    return like(value.casefold(), pattern.casefold())


def contains(value, phrase):
    is_open = phrase.endswith("*")
    wanted, found = split(phrase), split(value)
    for start in range(len(found) - len(wanted) + 1):
        part = found[start : start + len(wanted)]
        if part == wanted or (is_open and part[:-1] == wanted[:-1] and part[-1].startswith(wanted[-1])):
            return True
    return False


def split(text):
    """The words of a text: letters and digits, without accents; a Chinese character is a word."""
    plain = [c for c in unicodedata.normalize("NFKD", text.casefold()) if not "\u0300" <= c <= "\u036f"]
    words, word = [], ""
    for sign in unicodedata.normalize("NFC", "".join(plain)):
        if "\u4e00" <= sign <= "\u9fff":
            words, word = [*words, word, sign], ""
        elif sign.isalnum():
            word += sign
        else:
            words, word = [*words, word], ""
    return [word for word in [*words, word] if word]
