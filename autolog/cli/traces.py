"""Traces: lists of them, one of them, new ones as they come; out of the store, into it, and away."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from autolog.cli import options
from autolog.cli.options import (
    NOTHING,
    Experiment,
    Filter,
    Json,
    Session,
    Since,
    Store,
    TraceId,
    Until,
    complain,
    examples,
    infos,
    moment,
    opened,
    pages,
    trace_id,
)
from autolog.errors import InvalidQuery

if TYPE_CHECKING:
    from autolog.client import Client
    from autolog.model.trace import Trace, TraceInfo

app = typer.Typer(cls=options.Explained, no_args_is_help=True, help="List, search, show, follow and move traces.")

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, metavar="N", help="At most so many.")]
OrderBy = Annotated[
    str | None,
    typer.Option(metavar="FIELDS", help='Such as "duration DESC" or "cost DESC, name". By default newest first.'),
]
Columns = Annotated[
    str | None, typer.Option(metavar="NAMES", help="With commas between: trace_id,name,cost,tags.channel,feedback.helpful")
]  # fmt: skip


@app.command(
    "list",
    cls=options.Command,
    epilog=examples(
        "autolog traces list",
        "autolog traces list \"status = 'ERROR'\" --since 1h",
        'autolog traces list --order-by "cost DESC" -n 5 --columns trace_id,name,cost,tags.channel',
        "autolog traces list --json --limit 1000 | jq .usage.total_tokens",
    ),
)
def list_traces(
    filter_string: Filter = None,
    limit: Limit = 50,
    order_by: OrderBy = None,
    since: Since = None,
    until: Until = None,
    experiment: Experiment = None,
    session: Session = None,
    columns: Columns = None,
    as_json: Json = False,
    store: Store = None,
) -> None:
    """List traces that meet a filter, newest first.

    A terminal gets a table that fits it. A pipe gets a line a trace without a heading, its columns separated by tabs and
    nothing shortened: trace_id, timestamp (UTC), status, name, duration (ms), tokens, cost (US dollars), session, request,
    response, error.
    """
    with opened(store) as client:
        found = infos(
            client, filter_string, most=limit, order_by=order_by or None, since=moment("--since", since),
            until=moment("--until", until), experiment=experiment, session=session,
        )  # fmt: skip
        _write(client, found, columns, as_json=as_json, limit=limit)


@app.command(
    cls=options.Command,
    epilog=examples(
        "autolog traces search rotated key",
        'autolog traces search "refund policy" --since 7d',
        "autolog traces search 'refun*' --filter \"tags.channel = 'web'\" --json",
    ),
)
def search(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="WORDS…", help="Each has to be in some input or output; quoted, as a phrase.", show_default=False
        ),
    ],
    filter_string: Annotated[
        str | None, typer.Option("--filter", metavar="FILTER", help="What else they have to meet.")
    ] = None,
    limit: Limit = 50,
    order_by: OrderBy = None,
    since: Since = None,
    until: Until = None,
    experiment: Experiment = None,
    session: Session = None,
    columns: Columns = None,
    as_json: Json = False,
    store: Store = None,
) -> None:
    """Find traces by the words in their inputs and outputs.

    Case, accents and signs do not count; a `*` at the end of a word leaves it open. Written as by `list`.
    """
    phrases = " AND ".join("text CONTAINS '" + word.replace("'", "''") + "'" for word in words)
    with opened(store) as client:
        if filter_string:
            _check(filter_string)
        found = infos(
            client, f"{phrases} AND ({filter_string})" if filter_string else phrases, most=limit,
            order_by=order_by or None, since=moment("--since", since), until=moment("--until", until),
            experiment=experiment, session=session,
        )  # fmt: skip
        _write(client, found, columns, as_json=as_json, limit=limit)


def _check(filter_string: str) -> None:
    """Raise `InvalidQuery` that shows the place in the filter as it was written, before it becomes part of another."""
    from autolog.search.filter import parse

    parse(filter_string)


def _write(client: Client, found: Sequence[TraceInfo], names: str | None, *, as_json: bool, limit: int) -> None:
    from autolog.cli import columns
    from autolog.cli.output import console, is_terminal, write_json, write_table

    chosen = columns.chosen(names)
    if as_json:
        write_json(info.to_dict() for info in found)
    elif found:
        width = console().width if is_terminal() else None
        write_table(found, chosen or columns.by_default(width))
    if not found:
        complain("no trace meets that" if infos(client, None, most=1) else options.no_traces(client))
        raise typer.Exit(NOTHING)
    if len(found) == limit and not as_json and is_terminal():
        typer.secho(f"the first {limit}; --limit shows more", dim=True, err=True)


@app.command(
    cls=options.Command,
    epilog=examples(
        "autolog traces show last",
        "autolog traces show 1edb7273 --span 'chat gpt-4o'",
        "autolog traces show last --full | less",
        "autolog traces show last --html trace.html",
        "autolog traces show last --json | jq '.spans[].name'",
    ),
)
def show(
    trace: TraceId,
    span: Annotated[
        str | None,
        typer.Option(
            "--span", metavar="SPAN", help="Only this span, by its name or id: its conversation, documents, errors."
        ),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Every span with all that went in and out, nothing shortened.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The trace, or the span, as one JSON object.")] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write one HTML file that needs no other, to open or to send."),
    ] = None,
    store: Store = None,
) -> None:
    """Show a trace as a tree, or one of its spans as the conversation that it was."""
    with opened(store) as client:
        found = client.get_trace(trace_id(client, trace))
        if html is not None:
            try:
                typer.echo(f"{found.save_html(html)}", err=True)
            except OSError as error:
                raise InvalidQuery(f"--html {html}: {error.strerror}") from None
        if as_json:
            _show_json(found, span)
        elif html is None:
            _show(found, span, full=full)


def _show_json(trace: Trace, span: str | None) -> None:
    from autolog.cli.output import json_line
    from autolog.cli.shown import the_span

    sys.stdout.write(json_line((trace if span is None else the_span(trace, span)).to_dict()) + "\n")


def _show(trace: Trace, span: str | None, *, full: bool) -> None:
    from autolog.cli import shown
    from autolog.cli.output import console, is_terminal
    from autolog.display import terminal

    if span is not None:
        shown.write(shown.of_span(trace, shown.the_span(trace, span), whole=full))
        return
    if is_terminal():
        console().print(trace)
    else:
        sys.stdout.write(terminal.text(trace) + "\n")
    shown.write([shown.Line(""), *shown.of_trace(trace.info)])
    for one in trace.spans if full else ():
        shown.write([shown.Line(""), shown.Line("─" * 40, "dim"), *shown.of_span(trace, one, whole=True)])


@app.command(
    cls=options.Command,
    epilog=examples(
        "autolog traces tail",
        "autolog traces tail \"status = 'ERROR'\" -n 10",
        "autolog traces tail --json | jq .response_preview",
    ),
)
def tail(
    filter_string: Filter = None,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, metavar="N", help="Begin with the last N there are.")
    ] = 0,
    columns: Columns = None,
    as_json: Json = False,
    store: Store = None,
) -> None:
    """Follow traces as they end, whichever process records them, until Ctrl-C.

    A line a trace, as `list` writes them into a pipe; in a terminal, one that is easier to read.
    """
    from autolog.cli import follow

    with opened(store) as client:
        if filter_string:
            _check(filter_string)
        follow.follow(client, filter_string, lines, columns, as_json=as_json)


@app.command(
    cls=options.Command,
    epilog=examples(
        "autolog traces export -o traces.jsonl.gz",
        "autolog traces export \"tags.version = 'v2'\" --since 7d --format parquet -o v2.parquet",
        "autolog traces export --format csv -o - | head",
    ),
)
def export(
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Where to; `-` is the standard output.")
    ],
    filter_string: Filter = None,
    form: Annotated[
        Literal["jsonl", "csv", "parquet"] | None,
        typer.Option(
            "--format", help="By default as the file's name ends, else jsonl: whole traces, which `import` takes."
        ),
    ] = None,
    since: Since = None,
    until: Until = None,
    experiment: Experiment = None,
    session: Session = None,
    store: Store = None,
) -> None:
    """Write traces into a file: whole ones as JSON Lines, or a row a trace as CSV or Parquet."""
    from autolog.cli import moving

    with opened(store) as client:
        moving.export(
            client, output, form, filter_string, since=moment("--since", since), until=moment("--until", until),
            experiment=experiment, session=session,
        )  # fmt: skip


@app.command(
    "import",
    cls=options.Command,
    epilog=examples(
        "autolog traces import traces.jsonl.gz",
        "ssh server autolog traces export -o - | autolog traces import -",
    ),
)
def import_traces(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE…", help="JSON Lines, gzipped or not; `-` is the standard input.", show_default=False
        ),
    ],
    store: Store = None,
) -> None:
    """Take traces in that `export` wrote. Doing it twice is as doing it once."""
    from autolog.cli import moving

    with opened(store) as client:
        moving.import_files(client, files)


@app.command(
    cls=options.Command,
    epilog=examples(
        "autolog traces delete --older-than 30d",
        "autolog traces delete \"experiment = 'trial'\" --dry-run",
        "autolog traces delete --id 1edb7273 --id 0a4fb66e --yes",
    ),
)
def delete(
    filter_string: Filter = None,
    ids: Annotated[
        list[str] | None, typer.Option("--id", metavar="ID", help="This trace; may be given several times.")
    ] = None,
    older_than: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Only those that began before: 30d, 2026-01-31.")
    ] = None,
    experiment: Experiment = None,
    session: Session = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell how many there are.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    store: Store = None,
) -> None:
    """Delete the traces that meet every condition given; asks first. Without a condition nothing is deleted."""
    if not (ids or older_than or experiment or session or (filter_string or "").strip()):
        raise InvalidQuery("say which traces to delete: a filter, --id, --older-than, --experiment or --session")
    if filter_string:
        _check(filter_string)
    with opened(store) as client:
        wanted = None if not ids else ", ".join(f"'{trace_id(client, one)}'" for one in ids)
        conditions = [f"({filter_string})" if filter_string else "", f"trace_id IN ({wanted})" if wanted else ""]
        found = [
            info.trace_id
            for page in pages(
                client, " AND ".join(filter(None, conditions)) or None, until=moment("--older-than", older_than),
                experiment=experiment, session=session,
            )
            for info in page
        ]  # fmt: skip
        if not found:
            complain("no trace meets that")
            raise typer.Exit(NOTHING)
        counted = f"{len(found):,} trace{'' if len(found) == 1 else 's'} of {client.location}"
        if dry_run:
            typer.echo(f"would delete {counted}")
            return
        if not yes:
            _ask(f"Delete {counted}?")
        deleted = client.delete_traces(found)
        typer.echo(f"deleted {deleted:,}")


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise InvalidQuery(f"{question} There is nobody to ask: say --yes")
    if not typer.confirm(question, err=True):
        raise typer.Exit(NOTHING)


@app.command(
    cls=options.Command,
    epilog=examples(
        "autolog traces tag last reviewed=yes",
        "autolog traces tag 1edb7273 team=search priority=high --remove draft",
    ),
)
def tag(
    trace: TraceId,
    tags: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE…", help="Tags to set.", show_default=False)
    ] = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", metavar="KEY", help="A tag to take away.")] = None,
    store: Store = None,
) -> None:
    """Set tags of a trace, and take some away."""
    changes = parsed_tags(tags or ())
    if not changes and not remove:
        raise InvalidQuery("say which tags: KEY=VALUE, or --remove KEY")
    with opened(store) as client:
        whole = trace_id(client, trace)
        client.change_trace_tags(whole, {**dict.fromkeys(remove or ()), **changes})


@app.command(
    cls=options.Command,
    epilog=examples(
        "autolog traces compare 1edb7273 0a4fb66e",
        "autolog traces compare 1edb7273 last --json | jq '.rows[] | select(.change != \"same\")'",
    ),
)
def compare(
    left: TraceId,
    right: TraceId,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object: both traces, and a row a pair of spans.")
    ] = False,
    store: Store = None,
) -> None:
    """Show two traces as one tree: what changed (~), what only the second has (+), and what only the first has (-)."""
    from autolog.compare import compare as compared

    with opened(store) as client:
        found = compared(*(client.get_trace(trace_id(client, one)) for one in (left, right)))
    if as_json:
        from autolog.cli.output import json_line

        rows = [
            {
                "depth": row.depth,
                "change": row.change,
                "differs": row.differs,
                "left": None if row.left is None else row.left._asdict(),
                "right": None if row.right is None else row.right._asdict(),
            }
            for row in found.rows
        ]
        sys.stdout.write(json_line({"left": found.left.to_dict(), "right": found.right.to_dict(), "rows": rows}) + "\n")
    else:
        from autolog.cli import shown

        shown.write(shown.of_comparison(found))


def parsed_tags(written: Sequence[str]) -> dict[str, str]:
    """Return tags written as `key=value`; raise `InvalidQuery` for what is none."""
    changes: dict[str, str] = {}
    for one in written:
        key, separator, value = one.partition("=")
        if not separator or not key.strip():
            raise InvalidQuery(f"{one!r} is no tag; write key=value")
        changes[key.strip()] = value
    return changes
