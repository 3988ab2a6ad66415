"""Senders that are made when the first spans come: OpenTelemetry's SDK is optional, and slow to import."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from autolog.capture import Limits
from autolog.delivery import Sender, Sent
from autolog.errors import InvalidSetting, Unavailable
from autolog.model.span import Span
from autolog.otel.target import MISSING, Target

if TYPE_CHECKING:
    from autolog.otel.export import OtlpSender


def otlp_sender(target: Target, limits: Limits) -> OtlpSender:
    """Return what sends there; raise `Unavailable` where OpenTelemetry's exporters are not installed."""
    try:
        from autolog.otel.export import OtlpSender
    except ImportError as error:
        raise Unavailable(f"{MISSING} ({error})") from error
    return OtlpSender(target, limits)


class Deferred:
    """A sender that is made when the first spans come, on the thread that sends."""

    def __init__(self, place: str, make: Callable[[], Sender]) -> None:
        self.place = place
        self._make = make
        self._sender: Sender | None = None
        self._error: str | None = None

    def open(self) -> None:
        """Make it, as far as that can be."""
        if self._sender is None:
            try:
                self._sender = self._make()
            except (Unavailable, InvalidSetting) as error:
                self._error = f"{error}."
            else:
                self._sender.open()

    def send(self, spans: Sequence[Span]) -> Sent:
        """Send with what is made for it."""
        self.open()
        return Sent(self._error, is_final=True) if self._sender is None else self._sender.send(spans)

    def break_off(self) -> None:
        """Wait for nothing more."""
        if self._sender is not None:
            self._sender.break_off()

    def begin_anew(self) -> None:
        """Let go of connections."""
        if self._sender is not None:
            self._sender.begin_anew()
