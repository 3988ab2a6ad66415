"""Nobody reads or changes traces who may not: pages of others, other names of this machine, people without a token."""

from __future__ import annotations

import http.client
import re
import socket

import pytest

import autolog as al
from autolog.errors import InvalidSetting
from autolog.server.access import Token, parse_tokens, read_tokens
from autolog.server.security import MOST_BYTES, Hosts, name_of
from autolog.server.serve import listening, serve
from tests.server.conftest import Http

READ, SEND, WRITE = "r" * 16, "s" * 16, "w" * 16
TOKENS = [Token(READ, "read"), Token(SEND, "send"), Token(WRITE, "write", name="ada")]


def bearer(secret):
    return {"Authorization": f"Bearer {secret}"}


# --- whose name it goes by ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:4321", "localhost", "LOCALHOST:80", "[::1]:4321", "localhost."]
)
def test_it_answers_to_the_names_of_this_machine(http, host):
    assert http.get("/api/traces", Host=host).status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:4321", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1", "[::2]", ""],
)
@pytest.mark.parametrize("path", ["/", "/api/traces", "/static/app.js"])
def test_it_does_not_answer_to_a_name_that_anybody_may_have_made(http, host, path):
    answer = http.get(path, Host=host)
    assert answer.status == 403
    assert answer.json()["error"] == "UnknownHost"
    assert "--allow-host" in answer.json()["message"]


def test_it_answers_to_names_that_it_was_given(open_server):
    http = open_server(allow_hosts=["traces.example.com", "*.example.org"])
    assert http.get("/api/traces", Host="traces.example.com").status == 200
    assert http.get("/api/traces", Host="a.example.org:443").status == 200
    assert http.get("/api/traces", Host="example.org").status == 403
    assert http.get("/api/traces", Host="a.b.example.org").status == 403
    assert http.get("/api/traces", Host="example.com").status == 403


def test_listening_to_others_it_answers_to_addresses_and_its_own_name_only():
    hosts = Hosts("0.0.0.0")
    assert hosts.has("192.168.1.7:4321")
    assert hosts.has("[fe80::1]:4321")
    assert hosts.has(socket.gethostname())
    assert not hosts.has("evil.example")


def test_a_request_without_a_host_is_refused(http):
    port = int(http.address.rpartition(":")[2])
    connection = http_client(port)
    connection.putrequest("GET", "/api/traces", skip_host=True)
    connection.endheaders()
    assert connection.getresponse().status in (400, 403)
    connection.close()


def http_client(port):
    return http.client.HTTPConnection("127.0.0.1", port, timeout=30)


def test_names_are_read_without_ports():
    assert [name_of(host) for host in ("A.b:1", "[::1]:80", "[::1]", "a.", "")] == ["a.b", "::1", "::1", "a", ""]


# --- pages of others ---------------------------------------------------------------------------------


CHANGES = [
    ("POST", "/api/traces/delete"),
    ("POST", "/api/traces/tags"),
    ("POST", "/api/traces/{id}/assessments"),
    ("DELETE", "/api/traces/{id}/assessments/0"),
    ("POST", "/api/spans"),
    ("POST", "/api/session"),
]


@pytest.mark.parametrize("method, path", CHANGES)
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://[bad"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://{host}"},
    ],
)
def test_a_page_of_others_changes_nothing(client, http, ids, method, path, headers):
    host = http.address.removeprefix("http://")
    headers = {name: value.replace("{host}", host) for name, value in headers.items()}
    answer = http(method, path.replace("{id}", ids[0]), {"trace_ids": ids}, headers)
    assert (answer.status, answer.json()["error"]) == (403, "OtherOrigin")
    assert len(client.search_traces(return_type="list")) == len(ids)


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "null"}]
)
def test_a_page_of_others_asks_nothing_and_links_to_the_page(http, headers):
    for path in ("/api/traces", "/api/export", "/api/count", "/api/changes", "/api/openapi.json"):
        assert http.get(path, **headers).status == 403
    assert http.get("/", **headers).status == 200
    assert http.get("/static/app.js", **headers).status == 200


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://{host}"}, {"Sec-Fetch-Site": "same-origin"}])
def test_our_page_and_programs_do(http, ids, headers):
    host = http.address.removeprefix("http://")
    headers = {name: value.replace("{host}", host) for name, value in headers.items()}
    assert http("POST", "/api/traces/delete", {"trace_ids": ids[:1]}, headers).json() == {"deleted": 1}


def test_a_page_behind_a_proxy_that_renames_the_host_does(open_server, ids):
    http = open_server(allow_hosts=["hub.example.com"])
    assert http.post("/api/traces/delete", {"trace_ids": ids[:1]}, Origin="https://hub.example.com").status == 200
    assert http.post("/api/traces/delete", {"trace_ids": ids[:1]}, Origin="https://evil.example.com").status == 403


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_what_a_form_can_send_is_no_json(client, http, ids, kind):
    answer = http("POST", "/api/traces/delete", b'{"trace_ids": ["%s"]}' % ids[0].encode(), {"Content-Type": kind})
    assert (answer.status, answer.json()["error"]) == (415, "UnknownContent")
    assert len(client.search_traces(return_type="list")) == len(ids)


def test_no_other_origin_is_let_in(http):
    asked = http(
        "OPTIONS", "/api/traces", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    )
    read = http.get("/api/traces", Origin="https://evil.example")
    for answer in (asked, read):
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]
    assert read.headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/", "/static/app.js", "/api/traces", "/api/nothing", "/api/traces?limit=x"])
def test_every_answer_says_how_it_may_be_used(http, path):
    headers = http.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy
    assert "unsafe" not in policy
    assert "server" not in {name.lower() for name in headers}


# --- sizes -------------------------------------------------------------------------------------------


def test_a_body_that_is_too_large_is_refused_before_it_is_read(http):
    port = int(http.address.rpartition(":")[2])
    connection = http_client(port)
    connection.putrequest("POST", "/api/traces/delete")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(MOST_BYTES + 1))
    connection.endheaders()  # and not a byte of it
    answer = connection.getresponse()
    assert answer.status == 413
    connection.close()


def test_a_body_of_unknown_length_ends_at_the_limit(http):
    sent = 0

    def endless():
        nonlocal sent
        while sent < 20 * MOST_BYTES:
            sent += 500_000
            yield b" " * 500_000

    port = int(http.address.rpartition(":")[2])
    connection = http_client(port)
    try:
        connection.request(
            "POST", "/api/traces/delete", endless(), {"Content-Type": "application/json"}, encode_chunked=True
        )
        status = connection.getresponse().status
    except ConnectionError:
        status = None  # it hung up while we were talking
    finally:
        connection.close()
    assert status in (413, None)
    assert sent < 20 * MOST_BYTES


def test_json_that_is_nested_without_end_is_refused(http):
    answer = http("POST", "/api/traces/delete", b"[" * 200_000, {"Content-Type": "application/json"})
    assert answer.status == 400


# --- tokens ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method, path, needs",
    [
        ("GET", "/api/traces", "read"),
        ("GET", "/api/export", "read"),
        ("GET", "/api/openapi.json", "read"),
        ("GET", "/api/changes", "read"),
        ("GET", "/api/nothing", "read"),
        ("POST", "/api/store/search", "read"),
        ("POST", "/api/store/get_trace", "read"),
        ("POST", "/api/traces/delete", "write"),
        ("POST", "/api/traces/tags", "write"),
        ("POST", "/api/store/delete", "write"),
        ("POST", "/api/store/anything", "write"),
        ("PATCH", "/api/nothing", "write"),
        ("POST", "/api/spans", "send"),
        ("POST", "/v1/traces", "send"),
    ],
)
def test_each_request_needs_a_token_that_allows_it(open_server, method, path, needs):
    http = open_server(tokens=TOKENS)
    allowed = {"read": {READ, WRITE}, "send": {SEND, WRITE}, "write": {WRITE}}[needs]

    def answer(headers):
        return http(method, path, {} if method == "POST" else None, headers, preload_content=False)

    def status(headers):
        found = answer(headers)
        found.close()
        return found.status

    assert status({}) == 401
    assert status(bearer("x" * 16)) == 401
    assert status({"Authorization": f"Basic {WRITE}"}) == 401
    for secret in (READ, SEND, WRITE):
        assert (status(bearer(secret)) not in (401, 403)) is (secret in allowed), secret


def test_without_a_token_it_tells_nothing_but_that_it_is_there(open_server, client):
    http = open_server(tokens=TOKENS)
    assert http.get("/api/health").json() == {"status": "ok"}
    assert http.get("/api/health", **bearer(READ)).json()["store"] == client.location
    assert http.get("/").status == 200
    assert http.get("/static/app.js").status == 200
    assert http.get("/api/session").json() == {"is_needed": True, "rights": [], "experiment": None, "name": None}
    assert "WWW-Authenticate" in http.get("/api/traces").headers


def test_a_token_in_the_pages_address_becomes_a_cookie(open_server):
    http = open_server(tokens=TOKENS)
    answer = http.get(f"/?token={WRITE}&filter=a%20b")
    assert (answer.status, answer.headers["Location"]) == (303, "./?filter=a+b")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert WRITE not in cookie
    kept = {"Cookie": cookie.partition(";")[0]}
    assert http.get("/api/traces", **kept).status == 200
    assert http.get("/api/session", **kept).json()["name"] == "ada"
    assert (
        http("POST", "/api/traces/delete", {"trace_ids": []}, {**kept, "Sec-Fetch-Site": "same-origin"}).status == 200
    )
    # Pages of others send no such cookie; if one did, it would not help.
    assert http("POST", "/api/traces/delete", {"trace_ids": []}, {**kept, "Sec-Fetch-Site": "cross-site"}).status == 403


def test_the_password_of_a_proxy_is_no_token_and_in_no_ones_way(open_server):
    http = open_server(tokens=TOKENS)
    cookie = http.get(f"/?token={WRITE}").headers["Set-Cookie"].partition(";")[0]
    proxied = {"Authorization": "Basic YWRhOnNlY3JldA=="}
    assert http.get("/api/traces", **proxied).status == 401
    assert http.get("/api/traces", Cookie=cookie, **proxied).status == 200
    changed = {"Cookie": cookie, "Sec-Fetch-Site": "cross-site", **proxied}
    assert http("POST", "/api/traces/delete", {"trace_ids": []}, changed).status == 403


def test_the_cookie_is_no_token(open_server):
    http = open_server(tokens=TOKENS)
    value = re.search("=([^;]+)", http.get(f"/?token={WRITE}").headers["Set-Cookie"])[1]
    assert http.get("/api/traces", **bearer(value)).status == 401


def test_a_wrong_token_in_the_pages_address_is_taken_out_and_opens_nothing(open_server):
    answer = open_server(tokens=TOKENS).get("/?token=wrong")
    assert (answer.status, answer.headers["Location"]) == (303, "./")
    assert "Set-Cookie" not in answer.headers


def test_a_token_can_be_given_and_taken_back_on_the_page(open_server):
    http = open_server(tokens=TOKENS)
    assert http.post("/api/session", {"token": "wrong"}).status == 401
    given = http.post("/api/session", {"token": READ})
    assert given.json() == {"is_needed": True, "rights": ["read"], "experiment": None, "name": None}
    kept = {"Cookie": given.headers["Set-Cookie"].partition(";")[0]}
    assert http.get("/api/traces", **kept).status == 200
    assert "Max-Age=0" in http("DELETE", "/api/session", headers=kept).headers["Set-Cookie"]


def test_feedback_is_of_the_tokens_owner(open_server, client, ids):
    http = open_server(tokens=TOKENS)
    said = http.post(f"/api/traces/{ids[1]}/assessments", {"name": "good", "value": True}, **bearer(WRITE)).json()
    assert said["source"] == {"source_type": "HUMAN", "source_id": "ada"}


# --- how tokens are written --------------------------------------------------------------------------


def test_tokens_are_read_from_lines(tmp_path):
    text = f"# who may what\nread:{READ}\n\nada=write:{WRITE}:shop front ; send:{SEND}:a  # the service\n"
    (tmp_path / "tokens").write_text(text)
    expected = [Token(READ, "read"), Token(WRITE, "write", "shop front", "ada"), Token(SEND, "send", "a")]
    assert read_tokens(tmp_path / "tokens") == parse_tokens(text) == expected


@pytest.mark.parametrize("text", ["read", "read:", "read:short", f"see:{READ}", f"read:{READ} x", "read:" + "ä" * 20])
def test_a_token_that_is_none_is_refused_without_being_shown(text):
    with pytest.raises(InvalidSetting) as refused:
        parse_tokens(text)
    assert text.partition(":")[2] not in str(refused.value) or text in ("read", "read:")


def test_a_token_does_not_show_itself():
    assert WRITE not in repr(TOKENS)


def test_a_file_of_tokens_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InvalidSetting, match="can't be read"):
        read_tokens(tmp_path / "none")


def test_the_same_token_twice_is_refused(client):
    with pytest.raises(InvalidSetting, match="same"):
        serve(client, tokens=[Token(READ, "read"), Token(READ, "write")])


# --- listening ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "traces.example.com"])
def test_others_are_not_let_in_without_tokens_by_accident(client, host):
    with pytest.raises(InvalidSetting, match="--no-auth"):
        serve(client, host=host)


def test_a_port_that_is_in_use_is_told():
    with listening("127.0.0.1", 0) as taken:
        taken.listen()
        with pytest.raises(InvalidSetting, match="in use.*--port 0"):
            listening("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize(
    "host, port", [("no.such.host.invalid", 0), ("192.0.2.1", 0), ("127.0.0.1", 70_000), ("127.0.0.1", -1)]
)
def test_an_address_that_is_none_is_told(host, port):
    with pytest.raises(InvalidSetting):
        listening(host, port)


# --- and itself --------------------------------------------------------------------------------------


def test_looking_at_traces_records_none(client, http, ids, monkeypatch):
    search = type(client).search_traces
    monkeypatch.setattr(type(client), "search_traces", al.trace(search))
    assert len(http.get("/api/traces?limit=100").json()["traces"]) == len(ids)
    monkeypatch.undo()
    assert len(client.search_traces(return_type="list", include_spans=False)) == len(ids)


def test_two_servers_on_one_host_have_their_own_cookies(open_server):
    one, other = open_server(tokens=TOKENS), open_server(tokens=[Token("o" * 16, "read")])
    names = [
        http.get(f"/?token={secret}").headers["Set-Cookie"].partition("=")[0]
        for http, secret in ((one, READ), (other, "o" * 16))
    ]
    assert len(set(names)) == 2


def test_requests_need_no_more_than_a_token(open_server, ids):
    http = Http(open_server(tokens=TOKENS).address, **bearer(WRITE))
    # With a token of its own in a header, which no page can add, the origin does not matter.
    assert http.post("/api/traces/delete", {"trace_ids": ids[:1]}, Origin="https://app.example").json() == {
        "deleted": 1
    }


def test_whoever_has_a_token_with_a_name_speaks_for_nobody_else(open_server, ids):
    http = open_server(tokens=[Token(WRITE, "write", name="ada"), Token(SEND, "write")])
    path, said = f"/api/traces/{ids[0]}/assessments", {"name": "good", "value": True, "user": "bob"}

    named = http.post(path, said, Authorization=f"Bearer {WRITE}").json()
    changed = http(
        "PATCH",
        f"{path}/{named['assessment_id']}",
        {"value": False, "user": "bob"},
        {"Authorization": f"Bearer {WRITE}"},
    )
    nameless = http.post(path, said, Authorization=f"Bearer {SEND}").json()

    assert [one["source"]["source_id"] for one in (named, changed.json(), nameless)] == ["ada", "ada", "bob"]
