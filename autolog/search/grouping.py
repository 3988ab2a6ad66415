"""By what statistics are grouped, and of what values are listed."""

from __future__ import annotations

from autolog.capture import clean_text
from autolog.errors import InvalidQuery
from autolog.search import fields
from autolog.search.fields import Field, Kind, Scope

_NOTHING = ("", "none")
_OF_CALLS = (Field(Scope.TRACE, "model"), Field(Scope.SPAN, "model"), Field(Scope.SPAN, "provider"))


def is_of_calls(group_by: Field | None) -> bool:
    """Whether calls of models are grouped, of which a trace has many."""
    return group_by in _OF_CALLS


def grouping(group_by: str | None) -> Field | None:
    """Return the field of this name to group by, `None` for nothing; raise `InvalidQuery` where it is no text of a trace."""
    if group_by is None or group_by.lower() in _NOTHING:
        return None
    try:
        field = fields.find(clean_text(group_by))
    except fields.UnknownField as error:
        raise InvalidQuery(f"group_by {group_by[:80]!r}: {error}") from None
    is_text = field.scope is Scope.TRACE and field.kind in (Kind.TEXT, Kind.CHOICE)
    if not is_text and field.scope not in (Scope.TAG, Scope.METADATA) and not is_of_calls(field):
        raise InvalidQuery(
            f"group_by {group_by[:80]!r}: a text of the trace is grouped by, such as name, version or tags.<key>, or model"
        )
    return field


_KEYS = {
    "tags": Scope.TAG, "tag": Scope.TAG, "metadata": Scope.METADATA, "feedback": Scope.FEEDBACK,
    "expectation": Scope.EXPECTATION, "expectations": Scope.EXPECTATION,
}  # fmt: skip


def field_or_keys(written: str) -> Field:
    """Return the field of this name, or for `tags` and its like one without a key; raise `InvalidQuery` where there is none."""
    scope = _KEYS.get(written.strip().lower().rstrip("."))
    if scope is not None:
        return Field(scope, "")
    try:
        return fields.find(clean_text(written))
    except fields.UnknownField as error:
        raise InvalidQuery(f"field {written[:80]!r}: {error}") from None
