"""Random traces that have something of everything that filters ask for."""

from __future__ import annotations

import autolog as al
from autolog import TokenUsage
from autolog.model.usage import Cost
from tests.search import asked

SECOND = 10**9


def make(client, random, number):
    """Record a trace, of which nearly everything may be missing."""
    maybe = lambda values, odds=0.6: random.choice(values) if random.random() < odds else None
    some = lambda values: {key: random.choice(values) for key in asked.KEYS if random.random() < 0.4}
    tags = some(asked.TEXTS)
    with al.context(tags=tags, metadata=some(asked.TEXTS), session_id=maybe(asked.TEXTS), user=maybe(asked.TEXTS)):
        root = client.tracer.start_span(
            random.choice([*asked.SPAN_NAMES, *asked.TEXTS]), start_time_ns=start(random, number)
        )
    context = root.trace_context
    context.experiment = random.choice(["e", "f", "it's"])
    context.run, context.version = maybe(asked.TEXTS), maybe(("v1", "v2"))
    context.client_request_id = maybe(("r1", "r2"), 0.2)
    spans = [root]
    for _ in range(random.randrange(4)):
        parent = random.choice(spans)
        later = parent.start_time_ns + random.randrange(SECOND)
        spans.append(client.tracer.start_span(random.choice(asked.SPAN_NAMES), parent=parent, start_time_ns=later))
    for span in reversed(spans):
        fill(span, random, maybe, some)
        if random.random() < 0.9:
            span.end(span.start_time_ns + random.choice([0, 1_000_000, 3_500_000, 10_000_000, SECOND]))
    return spans


def start(random, number):
    return random.choice([0, 1, 2, 3, 10]) * SECOND + 1 + number * 1_000


def fill(span, random, maybe, some):
    span.set_span_type(random.choice(asked.TYPES))
    payloads = (
        None, "foo bar baz", *asked.TEXTS, 3, 3.5, True, ["a", {"b": "foo bar"}, 5], {"q": "Caf\u00e9 ol\u00e9", "n": {"x": [None, 3]}}, [[]], {"foo": "1"},
    )  # fmt: skip
    span.set_inputs(random.choice(payloads))
    span.set_outputs(random.choice(payloads))
    span.set_attributes(
        {key: random.choice([*asked.TEXTS, *asked.NUMBERS, True, False, [1, "a"], {"x": 1}]) for key in some("x")}
    )
    if random.random() < 0.5:
        span.set_attribute("gen_ai.request.model", random.choice(asked.MODELS))
        span.set_attribute("gen_ai.provider.name", random.choice(asked.TEXTS))
        span.set_usage(TokenUsage(maybe((0, 1, 3)), maybe((1, 2, 10)), maybe((3, 10))))
        if random.random() < 0.5:
            span.set_cost(Cost(0.5, 0.5, random.choice([0.0, 1.0, 3.5])))
    if random.random() < 0.4:
        span.set_status(random.choice(["ERROR", "OK", "CANCELLED"]))
    if random.random() < 0.2:
        span.record_exception(random.choice([ValueError("a"), KeyError("b")]))


def assess(client, random, trace_id):
    """Say some things of a stored trace, one of them taken back."""
    values = [*asked.NUMBERS, *asked.TEXTS[:8], "true", "3", True, False, [1], {"a": 1}]
    for name in ("score", "label"):
        if random.random() < 0.5:
            first = al.log_feedback(trace_id=trace_id, name=name, value=random.choice(values))
            if random.random() < 0.5:
                al.log_feedback(trace_id=trace_id, name=name, value=random.choice(values))
            if random.random() < 0.3:
                al.override_feedback(trace_id=trace_id, assessment_id=first.assessment_id, value=random.choice(values))
        if random.random() < 0.3:
            al.log_expectation(trace_id=trace_id, name=name, value=random.choice(values))
    if random.random() < 0.1:
        al.log_feedback(trace_id=trace_id, name="score", error="no judge")
