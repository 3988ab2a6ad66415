"""What the traces of a store come to: requests, errors, latency, tokens and cost."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autolog.cli.options import (
    NOTHING,
    Experiment,
    Filter,
    Json,
    Session,
    Store,
    Until,
    complain,
    examples,
    moment,
    opened,
)
from autolog.cli.output import Column, is_terminal, json_line, write_table
from autolog.display import terminal
from autolog.model.usage import Cost

if TYPE_CHECKING:
    from autolog.client import Client
    from autolog.model.statistics import Group, Statistics

EPILOG = examples(
    "autolog stats",
    "autolog stats --since 7d --by model",
    "autolog stats \"status = 'ERROR'\" --since 1h --by tags.channel --json",
)


def stats(
    filter_string: Filter = None,
    since: Annotated[
        str, typer.Option(metavar="WHEN", help="From then on: 90s, 1h, 7d ago; 2026-01-31; `all`.")
    ] = "24h",
    until: Until = None,
    by: Annotated[
        str | None,
        typer.Option(metavar="FIELD", help="A line for each model, name, version, user, experiment or tags.<key>."),
    ] = None,
    experiment: Experiment = None,
    session: Session = None,
    as_json: Json = False,
    store: Store = None,
) -> None:
    """Count traces and errors, and tell latency, tokens and cost: of all, or by what they have in common.

    By model, the calls of models are counted. Into a pipe: key, requests, errors, p50, p95 and p99 (ms), input tokens,
    output tokens, cost (US dollars), separated by tabs.
    """
    with opened(store) as client:
        found = client.statistics(
            filter_string, group_by=by, buckets=1, since=None if since == "all" else moment("--since", since),
            until=moment("--until", until), experiment=experiment, session=session,
        )  # fmt: skip
        groups = [group for group in found.groups if group.totals.requests]
        if as_json:
            typer.echo(json_line(_as_json(client, found)))
        elif groups:
            write_table(groups, _columns(by))
        if is_terminal() and not as_json:
            _tell_more(client, found)
        if not groups:
            complain("no trace meets that")
            raise typer.Exit(NOTHING)


def _as_json(client: Client, found: Statistics) -> Mapping[str, Any]:
    return {
        "since_ns": found.since_ns,
        "until_ns": found.until_ns,
        "is_sampled": found.is_sampled,
        "groups": [{"key": one.key, "is_other": one.is_other, **one.totals.to_dict()} for one in found.groups],
        "store": {"location": client.location, **_held(client)},
    }


def _held(client: Client) -> Mapping[str, Any]:
    """Return what there is in the store altogether."""
    from autolog.health.store import contents

    return contents(client.location)


def _tell_more(client: Client, found: Statistics) -> None:
    from autolog.health.finding import size

    if found.is_sampled:
        typer.secho(f"estimated from one trace in {found.share}", dim=True, err=True)
    since, until = (
        datetime.fromtimestamp(at / 1e9, timezone.utc).astimezone() for at in (found.since_ns, found.until_ns)
    )
    held = _held(client)
    more = f": {held['traces']:,} traces, {held['spans']:,} spans, {size(held['bytes'])}" if held else ""
    typer.secho(
        f"\n{since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M}; in all of {client.location}{more}", dim=True, err=True
    )


def _columns(by: str | None) -> list[Column[Group]]:
    def whole(name: str) -> Column[Group]:
        def plain(group: Group) -> str:
            value = getattr(group.totals, name)
            return "" if value is None else str(value)

        def shown(group: Group) -> str:
            value = getattr(group.totals, name)
            return "" if value is None else f"{value:,}"

        return Column(name.replace("_", " "), plain, shown, is_number=True)

    def took(name: str) -> Column[Group]:
        def plain(group: Group) -> str:
            value = getattr(group.totals, f"{name}_ns")
            return "" if value is None else f"{value / 1e6:.3f}"

        def shown(group: Group) -> str:
            value = getattr(group.totals, f"{name}_ns")
            return "" if value is None else terminal.duration(value)

        return Column(name, plain, shown, is_number=True)

    def cost(group: Group) -> str:
        return "" if group.totals.cost is None else f"{group.totals.cost:.10g}"

    def dollars(group: Group) -> str:
        return "" if group.totals.cost is None else terminal.money(Cost(total=group.totals.cost))

    return [
        Column(by or "traces", _key if by else lambda _: "all", most=40),
        *map(whole, ("requests", "errors")),
        *map(took, ("p50", "p95", "p99")),
        *map(whole, ("input_tokens", "output_tokens")),
        Column("cost", cost, dollars, is_number=True),
    ]


def _key(group: Group) -> str:
    if group.is_other:
        return "(others)"
    return group.key if group.key is not None else "(none)"
