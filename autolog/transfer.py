"""Traces into files and out of them, any number in little memory."""

from __future__ import annotations

import csv
import gzip
import importlib
import io
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Literal

import msgspec
from msgspec import Meta, Struct

from autolog import capture
from autolog.errors import InvalidQuery, InvalidTrace, NotFound, Unavailable
from autolog.frame import COLUMNS, row
from autolog.model.assessment import Assessment
from autolog.model.graft import graft
from autolog.model.span import Span
from autolog.model.trace import Trace, TraceInfo, TraceState, count_once
from autolog.processing import Processing

if TYPE_CHECKING:
    from autolog.client import Client

Format = Literal["jsonl", "csv", "parquet"]
MEDIA_TYPES: Mapping[str, str] = {
    "jsonl": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
_PAGE = 200
_AT_ONCE = 65_536
"""Bytes that are handed on together."""
_SPANS_AT_ONCE = 2_000
_BYTES_AT_ONCE = 16_000_000


# --- into a file -----------------------------------------------------------------------------------------


def export_traces(
    client: Client,
    file: BinaryIO,
    form: Format = "jsonl",
    filter_string: str | None = None,
    *,
    trace_ids: Sequence[str] | None = None,
    **conditions: Any,
) -> int:
    """Write the traces that meet the filter and the conditions of `search_traces`, newest first; return how many.

    `jsonl` has whole traces, a line each, as `Trace.to_dict()`; `csv` and `parquet` have a row a trace, without its
    spans. With `trace_ids`, only those. Raises `InvalidQuery`, and `Unavailable` where Parquet needs pyarrow.
    """
    pages = _Pages(client, filter_string, trace_ids, conditions)
    file.writelines(_WRITERS[form](pages))
    return pages.traces


def chunks(
    client: Client,
    form: Format = "jsonl",
    filter_string: str | None = None,
    *,
    trace_ids: Sequence[str] | None = None,
    **conditions: Any,
) -> Iterator[bytes]:
    """Yield what `export_traces` writes. What can't be done is raised at once, not when it is read."""
    if form == "parquet":
        _pyarrow()
    pages = _Pages(client, filter_string, trace_ids, conditions)
    pages.begin()
    return _WRITERS[form](pages)


class _Pages:
    """The traces to write, a page at a time."""

    def __init__(
        self, client: Client, filter_string: str | None, trace_ids: Sequence[str] | None, conditions: Mapping[str, Any]
    ) -> None:
        self.client = client
        self.traces = 0
        self._filters = [filter_string] if trace_ids is None else list(_filters(filter_string, trace_ids))
        self._conditions = conditions
        self._first: Any = None

    def begin(self) -> None:
        """Read the first page."""
        if self._filters:
            self._first = self._page(self._filters[0], None)

    def __iter__(self) -> Iterator[list[TraceInfo]]:
        for filter_string in self._filters:
            page, self._first = self._first, None
            if page is None:
                page = self._page(filter_string, None)
            while True:
                self.traces += len(page)
                yield page
                if page.token is None:
                    break
                page = self._page(filter_string, page.token)

    def _page(self, filter_string: str | None, token: str | None) -> Any:
        return self.client.search_traces(
            filter_string, page_token=token, max_results=_PAGE, include_spans=False, return_type="list",
            **self._conditions,
        )  # fmt: skip


def _filters(filter_string: str | None, trace_ids: Sequence[str]) -> Iterator[str]:
    for trace_id in trace_ids:
        if not (len(trace_id) == 32 and set(trace_id.lower()) <= set("0123456789abcdef")):
            raise InvalidQuery(f"{trace_id!r} is not a trace id of 32 hex digits")
    whole = f"({filter_string}) AND " if filter_string and filter_string.strip() else ""
    ids = list(dict.fromkeys(trace_ids))
    for start in range(0, len(ids), _PAGE):
        yield f"{whole}trace_id IN ({', '.join(f'{one!r}' for one in ids[start : start + _PAGE])})"


def _json_lines(pages: _Pages) -> Iterator[bytes]:
    buffer = bytearray()
    for page in pages:
        for info in page:
            try:
                trace = pages.client.get_trace(info.trace_id)
            except NotFound:  # deleted since the page was read
                pages.traces -= 1
                continue
            buffer += capture.json_bytes(trace.to_dict()) + b"\n"
            if len(buffer) >= _AT_ONCE:
                yield bytes(buffer)
                buffer.clear()
    yield bytes(buffer)


def _csv(pages: _Pages) -> Iterator[bytes]:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for page in pages:
        writer.writerows([_cell(value) for value in row(info).values()] for info in page)
        yield buffer.getvalue().encode("utf-8", "replace")
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue().encode("utf-8", "replace")


_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        # A spreadsheet would run what a user of the program wrote.
        return f"'{value}" if value.startswith(_FORMULA) else value
    if isinstance(value, (dict, list)):
        return capture.json_bytes(value).decode() if value else ""
    return value.isoformat() if hasattr(value, "isoformat") else value


def _parquet(pages: _Pages) -> Iterator[bytes]:
    pyarrow = _pyarrow()
    schema = _schema(pyarrow)
    sink = _Sink()
    with pyarrow.parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        rows: list[dict[str, Any]] = []
        for page in pages:
            rows += [_plain_row(row(info)) for info in page]
            if len(rows) >= _ROWS:
                writer.write_table(pyarrow.Table.from_pylist(rows, schema))
                rows = []
                yield sink.taken()
        if rows:
            writer.write_table(pyarrow.Table.from_pylist(rows, schema))
    yield sink.taken()


_ROWS = 5_000
"""Rows of one group of a Parquet file."""


def _plain_row(found: dict[str, Any]) -> dict[str, Any]:
    texts = {name: value.encode("utf-8", "replace").decode() for name, value in found.items() if isinstance(value, str)}
    return {**found, **texts, "assessments": capture.json_bytes(found["assessments"]).decode()}


def _schema(pyarrow: Any) -> Any:
    text, number, whole = pyarrow.string(), pyarrow.float64(), pyarrow.int64()
    labels = pyarrow.map_(text, text)
    kinds = {
        "request_time": pyarrow.timestamp("us", "UTC"), "duration_ms": number, "cost": number, "tags": labels,
        "metadata": labels,
        **dict.fromkeys(("input_tokens", "output_tokens", "total_tokens", "span_count", "error_count"), whole),
    }  # fmt: skip
    return pyarrow.schema([(name, kinds.get(name, text)) for name in COLUMNS])


def _pyarrow() -> Any:
    try:
        importlib.import_module("pyarrow.parquet")
        return importlib.import_module("pyarrow")
    except ImportError:
        raise Unavailable("Parquet needs pyarrow: pip install 'autolog-tracing[parquet]'; csv needs nothing") from None


class _Sink(io.RawIOBase):
    """What was written and not taken yet."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._at = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._at += len(part)
        return len(part)

    def tell(self) -> int:
        return self._at

    def taken(self) -> bytes:
        """Return it, and forget it."""
        found = b"".join(self._parts)
        self._parts.clear()
        return found


_WRITERS: Mapping[str, Callable[[_Pages], Iterator[bytes]]] = {
    "jsonl": _json_lines, "csv": _csv, "parquet": _parquet,
}  # fmt: skip


# --- out of a file -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of an import."""

    traces: int
    """Traces in the file."""
    spans: int
    """Spans that the store had not yet."""


def import_traces(client: Client, file: BinaryIO) -> Imported:
    """Take in the traces of JSON Lines that `export_traces` wrote, gzipped or not. Doing it twice is as doing it once.

    Raises `InvalidTrace` that names the line where something is none; the traces before it are stored.
    """
    reader = _Importer(client)
    number = 0
    try:
        for line in _lines(file):
            number += 1
            if line.strip():
                reader.take(line)
    except InvalidTrace as error:
        reader.write()
        raise InvalidTrace(
            f"line {number} is no trace: {error} The {reader.traces} before it were taken in."
        ) from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        reader.write()
        raise InvalidTrace(
            f"the file is damaged behind line {number}: {error}. The {reader.traces} traces before were taken in."
        ) from error
    reader.write()
    return Imported(reader.traces, reader.spans)


_GZIP = b"\x1f\x8b"


def _lines(file: BinaryIO) -> Iterator[bytes]:
    buffered: Any = file if hasattr(file, "peek") else io.BufferedReader(file)
    if buffered.peek(2)[:2] == _GZIP:
        with gzip.open(buffered) as expanded:
            yield from expanded
    else:
        yield from buffered


class _Importer:
    def __init__(self, client: Client) -> None:
        self.traces = 0
        self.spans = 0
        self._client = client
        self._store = client._store
        self._processing = Processing()
        self._processing.plan = client._pipeline.processing.plan
        self._waiting: list[Trace] = []
        self._spans = 0
        self._bytes = 0

    def take(self, line: bytes) -> None:
        trace = _trace(line)
        self._waiting.append(trace)
        self._spans += len(trace.spans)
        self._bytes += len(line)
        if self._spans >= _SPANS_AT_ONCE or self._bytes >= _BYTES_AT_ONCE:
            self.write()

    def write(self) -> None:
        """Store what was read."""
        spans = [span for trace in self._waiting for span in self._new(trace)]
        if spans:
            self._store.write(spans)
        for trace in self._waiting:
            if trace.assessments:
                leaf = self._processing.plan.leaf
                said: Sequence[Assessment] = [one if leaf is None else one.rewritten(leaf) for one in trace.assessments]
                self._store.put_assessments(trace.trace_id, said)
        self.spans += len(spans)
        self.traces += len(self._waiting)
        self._waiting, self._spans, self._bytes = [], 0, 0

    def _new(self, trace: Trace) -> list[Span]:
        """Return the spans of a trace that the store has not as they are."""
        stored = self._store.get_outline(trace.trace_id)
        known = {} if stored is None else {span.span_id: span.end_time_ns for span in stored.spans}
        spans = graft(trace, None, open_too=True)
        for span in reversed(spans):  # children first
            if span.end_time_ns is not None:
                count_once(span)
        if spans and spans[0]._context is not None and trace.state is not TraceState.IN_PROGRESS:
            spans[0]._context.state = trace.state
        new = [span for span in spans if _is_new(span, known)]
        return [shown for span in new if (shown := self._processing(span)) is not None]


def _is_new(span: Span, known: Mapping[str, int | None]) -> bool:
    return span.span_id not in known or (known[span.span_id] is None and span.end_time_ns is not None)


# What a store can't do without; all else is looked at when it is read.

_Moment = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Count = Annotated[int, Meta(ge=0, le=10**15)]


class _Usage(Struct):
    input_tokens: _Count | None = None
    output_tokens: _Count | None = None
    total_tokens: _Count | None = None
    raw: dict[str, Any] | None = None


class _Event(Struct):
    name: str
    timestamp_ns: _Moment
    attributes: dict[str, Any]


class _Status(Struct):
    code: str
    description: str | None


class _Span(Struct):
    name: str
    trace_id: str
    span_id: str
    parent_id: str | None
    span_type: str
    start_time_ns: _Moment
    end_time_ns: _Moment | None
    status: _Status
    attributes: dict[str, Any]
    events: list[_Event]
    links: list[dict[str, Any]]
    usage: _Usage | None
    cost: dict[str, float | None] | None


class _Info(Struct):
    trace_id: str
    name: str
    experiment: str
    tags: dict[str, str]
    metadata: dict[str, str]
    run: str | None = None
    session: str | None = None
    user: str | None = None
    version: str | None = None
    client_request_id: str | None = None
    request_preview: str | None = None
    response_preview: str | None = None


class _Line(Struct):
    info: _Info
    spans: list[_Span]


def _trace(line: bytes) -> Trace:
    try:
        told = msgspec.json.decode(line)
        msgspec.convert(told, _Line)
        trace = Trace.from_dict(told)
    except (msgspec.MsgspecError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidTrace(f"{str(error)[:300].rstrip('.')}.") from error
    for span in trace.spans:
        if span.trace_id != trace.trace_id:
            raise InvalidTrace(f"its span {span.span_id} is of another trace, {span.trace_id}.")
    return trace
