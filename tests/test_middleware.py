"""The middleware for ASGI and WSGI, in real servers that are asked over real connections."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import io
import os
import socketserver
import subprocess
import sys
import textwrap
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.validate import validator

import pytest
from opentelemetry import trace as otel

import autolog as al
from autolog.testing import fresh_client, spans, traces
from tests.trees import forest, sorted_by_text, the

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADER = f"00-{TRACE}-{PARENT}-01"


def fetch(url, **headers):
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def leave_after(port, path, size):
    """Read the beginning of a response, and go."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path)
    with connection.getresponse() as response:
        response.read(size)
    connection.close()


def settled(client):
    """Return once no span is open: the last piece reaches the caller before the server is done with it."""
    deadline = time.monotonic() + 20
    while client.stats().open and time.monotonic() < deadline:
        time.sleep(0.001)
    return client


@al.trace
def work(name):
    with al.start_span(f"inside {name}"):
        return name


# --- ASGI ------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def asgi(app):
    """Serve in a thread; give the port."""
    uvicorn = pytest.importorskip("uvicorn")
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.001)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


class Left(Exception):
    pass


@pytest.fixture
def app():
    """Paths of a service, by Starlette, with and without threads of its own."""
    pytest.importorskip("starlette")
    from starlette.applications import Starlette
    from starlette.background import BackgroundTask
    from starlette.responses import PlainTextResponse, StreamingResponse
    from starlette.routing import Route

    async def chat(request):
        await asyncio.sleep(0)
        return PlainTextResponse(work(request.path_params["name"]))

    def sync(request):
        return PlainTextResponse(work("sync"))

    async def stream(request):
        @al.trace
        async def pieces():
            for number in range(3):
                with al.start_span(f"piece {number}"):
                    yield f"{number}"

        return StreamingResponse(pieces())

    async def endless(request):
        @al.trace
        async def forever():
            while True:
                yield "x" * 10_000
                await asyncio.sleep(0)

        return StreamingResponse(forever())

    async def fails(request):
        raise Left("bad")

    async def refuses(request):
        return PlainTextResponse("no", status_code=int(request.path_params["status"]))

    async def background(request):
        return PlainTextResponse("ok", background=BackgroundTask(work, "later"))

    return Starlette(
        routes=[
            Route("/chat/{name}", chat),
            Route("/sync", sync),
            Route("/stream", stream),
            Route("/endless", endless),
            Route("/fails", fails),
            Route("/status/{status}", refuses),
            Route("/background", background),
        ]
    )


def test_what_a_service_does_nests_below_its_caller(client, app):
    with asgi(al.AsgiMiddleware(app)) as port:
        with al.start_span("caller"):
            assert fetch(f"http://127.0.0.1:{port}/chat/a", **al.inject()) == (200, "a")
            assert fetch(f"http://127.0.0.1:{port}/sync", **al.inject()) == (200, "sync")
        assert fetch(f"http://127.0.0.1:{port}/chat/b") == (200, "b")
    assert forest(client) == (
        "OK\nUNKNOWN caller\n  UNKNOWN work\n    UNKNOWN inside a\n  UNKNOWN work\n    UNKNOWN inside sync\n\n"
        "OK\nUNKNOWN work\n  UNKNOWN inside b"
    )


def test_a_span_a_request_has_method_path_and_status_and_nothing_else_of_it(client, app):
    app.add_middleware(al.AsgiMiddleware, spans=True)
    with asgi(app) as port:
        secret = {"Authorization": "Bearer secret", "Cookie": "secret", "traceparent": HEADER}
        fetch(f"http://127.0.0.1:{port}/chat/a?key=secret", **secret)
        fetch(f"http://127.0.0.1:{port}/status/404")
        fetch(f"http://127.0.0.1:{port}/status/503")
        settled(client)
    first, second, third = traces(client)
    assert (first.trace_id, first.spans[0].parent_id) == (TRACE, PARENT)
    assert first.spans[0].attributes == {
        "http.request.method": "GET", "url.path": "/chat/a", "http.response.status_code": 200,
    }  # fmt: skip
    assert "secret" not in first.to_json()
    assert [str(trace.state) for trace in (first, second, third)] == ["OK", "OK", "ERROR"]
    assert third.spans[0].status.description == "HTTP 503"
    assert forest(client).startswith(
        "OK\nTASK GET /chat/a\n  UNKNOWN work\n    UNKNOWN inside a\n\nOK\nTASK GET /status/404"
    )


def test_what_an_application_raises_passes_and_is_recorded(client, app):
    inside = al.AsgiMiddleware(app, spans=True)  # outside of what answers with 500
    with asgi(inside) as port:
        assert fetch(f"http://127.0.0.1:{port}/fails") == (500, "Internal Server Error")
        settled(client)
    [span] = spans(client)
    assert (span.status.code, span.attributes["http.response.status_code"]) == ("ERROR", 500)
    assert "Left" in span.attributes["error.type"]


def test_a_streamed_response_counts_until_its_end(client, app):
    app.add_middleware(al.AsgiMiddleware, spans=True)
    with asgi(app) as port:
        assert fetch(f"http://127.0.0.1:{port}/stream") == (200, "012")
        settled(client)
    assert forest(client) == (
        "OK\nTASK GET /stream\n  UNKNOWN pieces\n    UNKNOWN piece 0\n    UNKNOWN piece 1\n    UNKNOWN piece 2"
    )
    assert the(client, "GET /stream").end_time_ns >= the(client, "piece 2").end_time_ns


def test_a_client_that_leaves_ends_it_as_cancelled(client, app):
    app.add_middleware(al.AsgiMiddleware, spans=True)
    with asgi(app) as port:
        leave_after(port, "/endless", 10)
        settled(client)
    assert forest(client) == "CANCELLED\nTASK GET /endless CANCELLED\n  UNKNOWN forever CANCELLED"


def test_what_runs_after_the_response_belongs_to_it_and_does_not_prolong_it(client, app):
    app.add_middleware(al.AsgiMiddleware, spans=True)
    with asgi(app) as port:
        fetch(f"http://127.0.0.1:{port}/background")
        settled(client)
    assert forest(client) == "OK\nTASK GET /background\n  UNKNOWN work\n    UNKNOWN inside later"
    assert the(client, "GET /background").end_time_ns <= the(client, "work").start_time_ns


@pytest.mark.parametrize("with_threads", [False, True])
def test_requests_at_once_never_mix(client, app, with_threads):
    if with_threads:
        al.autolog("threads")
    app.add_middleware(
        al.AsgiMiddleware,
        spans=True,
        session=lambda scope: scope["path"],
        tags=lambda scope: {"path": scope["path"]},
        user=lambda scope: None,
    )

    def ask(number):
        with al.start_span(f"caller {number}"):
            return fetch(f"http://127.0.0.1:{port}/chat/{number}", **al.inject())

    with asgi(app) as port, ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(40))) == [(200, f"{number}") for number in range(40)]
        settled(client)
    expected = [
        f"OK\nUNKNOWN caller {n}\n  TASK GET /chat/{n}\n    UNKNOWN work\n      UNKNOWN inside {n}" for n in range(40)
    ]
    assert sorted_by_text(forest(client)) == sorted_by_text("\n\n".join(expected))
    for trace in traces(client):
        number = trace.root.name.removeprefix("caller ")
        assert (trace.info.session, trace.info.tags) == (f"/chat/{number}", {"path": f"/chat/{number}"})


async def call(app, scope, *messages):
    """Call an ASGI application without a server; give what it sent."""
    sent, waiting = [], list(messages)

    async def receive():
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    return sent


SCOPE = {"type": "http", "method": "POST", "path": "/chat", "headers": [(b"traceparent", HEADER.encode())]}
START = {"type": "http.response.start", "status": 200, "headers": []}
END = {"type": "http.response.body", "body": b""}


def test_other_scopes_pass_through(client):
    seen = []

    async def app(*args):
        seen.append(args)
        work("inside")

    middleware = al.AsgiMiddleware(app, spans=True, session=lambda scope: 1 / 0)
    for kind in ("lifespan", "websocket"):
        scope, receive, send = {"type": kind}, object(), object()
        asyncio.run(middleware(scope, receive, send))
        assert seen.pop() == (scope, receive, send)
    assert [span.name for span in spans(client)] == ["work", "inside inside"] * 2


def test_without_spans_the_application_gets_what_the_server_gave(client):
    seen = []

    async def app(*args):
        seen.append(args)

    given = SCOPE, object(), object()
    asyncio.run(al.AsgiMiddleware(app)(*given))
    client.tracer.enabled = False
    asyncio.run(al.AsgiMiddleware(app, spans=True)(*given))
    assert all(one is other for args in seen for one, other in zip(args, given, strict=True))


@pytest.mark.parametrize(
    ("sends", "status"),
    [([START, END], "OK"), ([START, {**END, "more_body": True}], "ERROR"), ([], "ERROR"), ([START], "ERROR")],
)
def test_a_response_that_is_not_completed_has_failed(client, sends, status):
    async def app(scope, receive, send):
        for message in sends:
            await send(message)

    assert asyncio.run(call(al.AsgiMiddleware(app, spans=True), SCOPE)) == sends
    assert spans(client)[0].status.code == status


@pytest.mark.parametrize(
    ("error", "status"), [(OSError("gone"), "CANCELLED"), (asyncio.CancelledError(), "CANCELLED"), (Left(), "ERROR")]
)
def test_what_sending_raises_is_the_applications_to_handle(client, error, status):
    async def app(scope, receive, send):
        await send(START)

    async def send(message):
        raise error

    async def serve():
        with pytest.raises(type(error)) as raised:
            await al.AsgiMiddleware(app, spans=True)(SCOPE, None, send)
        return raised.value

    assert asyncio.run(serve()) is error
    assert spans(client)[0].status.code == status


def test_an_option_that_fails_is_reported_once_and_costs_nothing_else(client, caplog):
    async def app(scope, receive, send):
        work("served")
        await send(START)
        await send(END)

    middleware = al.AsgiMiddleware(app, session=lambda scope: 1 / 0, user=lambda scope: "u", tags=lambda scope: 3)
    for _ in range(2):
        asyncio.run(call(middleware, SCOPE))
    assert [(trace.info.session, trace.info.user, trace.info.tags) for trace in traces(client)] == [(None, "u", {})]
    assert len([record for record in caplog.records if "session" in record.getMessage()]) == 1


def test_a_span_that_the_server_made_for_the_request_goes_before_the_header(client):
    async def app(scope, receive, send):
        work("served")

    ids = otel.SpanContext(int(TRACE, 16), 0xABC, is_remote=False, trace_flags=otel.TraceFlags(1))

    async def main():
        with otel.use_span(otel.NonRecordingSpan(ids)):
            await call(al.AsgiMiddleware(app), SCOPE)

    asyncio.run(main())
    assert the(client, "work").parent_id == f"{0xABC:016x}"


# --- WSGI ------------------------------------------------------------------------------------------------


class Quiet(WSGIRequestHandler):
    def log_message(self, *args):
        pass


class Threaded(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = False


@contextlib.contextmanager
def wsgi(app):
    server = make_server("127.0.0.1", 0, app, Threaded, Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def service(environ, start_response):
    """A WSGI application: a list, a stream, an error, what the path says."""
    path = environ["PATH_INFO"]
    if path == "/fails":
        raise Left("bad")
    if path == "/file":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return environ["wsgi.file_wrapper"](io.BytesIO(b"file"))
    if path == "/stream":
        return streamed(start_response)
    status = {"/missing": "404 Not Found", "/broken": "503 Not Now"}.get(path, "200 OK")
    start_response(status, [("Content-Type", "text/plain")])
    return [work(path).encode()]


@al.trace
def streamed(start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    for number in range(3):
        with al.start_span(f"piece {number}"):
            yield f"{number}".encode()


def test_a_wsgi_service_nests_below_its_caller(client):
    with wsgi(al.WsgiMiddleware(service)) as port:
        with al.start_span("caller"):
            assert fetch(f"http://127.0.0.1:{port}/a", **al.inject()) == (200, "/a")
            assert fetch(f"http://127.0.0.1:{port}/stream", **al.inject()) == (200, "012")
        assert fetch(f"http://127.0.0.1:{port}/file") == (200, "file")
    assert forest(client) == (
        "OK\nUNKNOWN caller\n  UNKNOWN work\n    UNKNOWN inside /a\n  UNKNOWN streamed\n    UNKNOWN piece 0\n"
        "    UNKNOWN piece 1\n    UNKNOWN piece 2"
    )


def test_a_span_a_request_of_wsgi(client):
    app = al.WsgiMiddleware(service, spans=True, session=lambda environ: environ["HTTP_X_SESSION"])
    with wsgi(app) as port:
        for path in ("/a", "/missing", "/broken", "/stream", "/file", "/caf%C3%A9?key=secret"):
            fetch(f"http://127.0.0.1:{port}{path}", **{"X-Session": "s", "Cookie": "secret", "traceparent": HEADER})
    assert sorted_by_text(forest(client)) == sorted_by_text(
        "ERROR\nTASK GET /a\n  UNKNOWN work\n    UNKNOWN inside /a\n"
        "TASK GET /missing\n  UNKNOWN work\n    UNKNOWN inside /missing\n"
        "TASK GET /broken ERROR None\n  UNKNOWN work\n    UNKNOWN inside /broken\n"
        "TASK GET /stream\n  UNKNOWN streamed\n    UNKNOWN piece 0\n    UNKNOWN piece 1\n    UNKNOWN piece 2\n"
        "TASK GET /file\nTASK GET /café\n  UNKNOWN work\n    UNKNOWN inside /cafÃ©"
    )
    [trace] = traces(client)
    assert trace.info.session == "s"
    assert "secret" not in trace.to_json()
    codes = {
        span.name: span.attributes.get("http.response.status_code")
        for span in spans(client)
        if span.span_type == "TASK"
    }
    assert (codes["GET /a"], codes["GET /missing"], codes["GET /broken"], codes["GET /stream"]) == (200, 404, 503, 200)


def test_what_a_wsgi_application_raises_passes_and_is_recorded(client):
    def later(environ, start_response):
        start_response("200 OK", [])
        yield b"a"
        raise Left("later")

    for app in (service, later):
        with pytest.raises(Left):
            list(
                al.WsgiMiddleware(app, spans=True)({"REQUEST_METHOD": "GET", "PATH_INFO": "/fails"}, lambda *args: None)
            )
    assert [span.status.code for span in spans(client)] == ["ERROR", "ERROR"]
    assert al.get_current_active_span() is None


def test_a_wsgi_client_that_leaves_ends_it_as_cancelled(client):
    closed = threading.Event()

    def endless(environ, start_response):
        start_response("200 OK", [])
        try:
            while True:
                yield b"x" * 100_000
        finally:
            closed.set()

    with wsgi(al.WsgiMiddleware(endless, spans=True)) as port:
        with contextlib.redirect_stderr(io.StringIO()):
            leave_after(port, "/endless", 10)
            assert closed.wait(20)
            settled(client)
    assert forest(client) == "CANCELLED\nTASK GET /endless CANCELLED"


def test_between_two_pieces_the_server_is_in_no_request(client):
    bodies = [al.WsgiMiddleware(service, spans=True)(environ(name), lambda *args: None) for name in ("a", "b")]
    for _ in range(3):
        for body in bodies:
            next(body)
            assert al.get_current_active_span() is None
    for body in bodies:
        assert list(body) == []
        body.close()
    tree = "OK\nTASK GET /stream\n  UNKNOWN streamed\n    UNKNOWN piece 0\n    UNKNOWN piece 1\n    UNKNOWN piece 2"
    assert forest(client) == f"{tree}\n\n{tree}"


def environ(name):
    return {"REQUEST_METHOD": "GET", "PATH_INFO": "/stream", "HTTP_X_NAME": name}


def test_it_keeps_to_the_rules_of_wsgi(client):
    app = validator(al.WsgiMiddleware(validator(service), spans=True))
    with wsgi(app) as port:
        assert fetch(f"http://127.0.0.1:{port}/a") == (200, "/a")
        assert fetch(f"http://127.0.0.1:{port}/stream") == (200, "012")
    assert {span.status.code for span in spans(client)} == {"OK"}


def test_where_there_is_nothing_to_do_the_application_is_left_alone(client):
    body = object()
    start = object()

    def app(environ, start_response):
        assert start_response is start
        return body

    assert al.WsgiMiddleware(app)({"REQUEST_METHOD": "GET"}, start) is body


def test_a_service_in_another_process_records_into_the_same_trace(tmp_path):
    program = """
        from wsgiref.simple_server import make_server
        import autolog as al

        @al.trace
        def answer(environ, start_response):
            start_response("200 OK", [])
            return [b"answered"]

        with make_server("127.0.0.1", 0, al.WsgiMiddleware(answer, spans=True)) as server:
            print(server.server_port, flush=True)
            server.handle_request()
    """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=tmp_path,
        env={**os.environ, "AUTOLOG_STORE": str(tmp_path / "t.db"), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    with child, fresh_client(str(tmp_path / "t.db")) as client:
        port = int(child.stdout.readline())
        with al.start_span("caller"):
            assert fetch(f"http://127.0.0.1:{port}/ask", **al.inject()) == (200, "answered")
        assert child.wait(60) == 0
        assert forest(client) == "OK\nUNKNOWN caller\n  TASK GET /ask\n    UNKNOWN answer"
