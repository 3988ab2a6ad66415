"""Nothing in a trace can run, load or leave its place: prompts and answers are anybody's texts."""

from __future__ import annotations

import pytest

import autolog as al
from tests.browser.viewing import names, opened, panel, saved

ATTACKS = {
    "script": "<script>alert(1)</script>",
    "closing": "</script></style></title><script>alert(1)</script>",
    "image": "<img src=x onerror=alert(1)>",
    "outside": '<img src="https://evil.example/x.png"><link rel=stylesheet href=https://evil.example/x.css>',
    "svg": "<svg onload=alert(1)><animate onbegin=alert(1) attributeName=x></svg>",
    "frame": '<iframe srcdoc="<script>parent.alert(1)</script>"></iframe>',
    "handler": '" onmouseover="alert(1)" x="',
    "address": "javascript:alert(1)",
    "markdown": "[click](javascript:alert(1)) ![x](https://evil.example/y.png) <https://evil.example>",
    "data": "[click](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "split": "[click](java\tscript:alert(1)) [x](vbscript:x) [y](//evil.example)",
    "template": "${alert(1)} {{constructor.constructor('alert(1)')()}} #{1+1} <%= 1 %>",
    "style": "</style><style>*{display:none}</style> <p style='position:fixed;inset:0'>",
    "cdata": "<![CDATA[ x ]]> --> ]]>",
    "prototype": "__proto__",
    "entity": "&lt;script&gt;alert(1)&lt;/script&gt; &#60;b&#62;",
    "form": "<form action=https://evil.example><button autofocus>go</button></form><base href=https://evil.example>",
}


def everywhere(text):
    """A trace that has a text in every place that a program, a model or a user can put one."""
    call = {"id": text, "type": "function", "function": {"name": text, "arguments": {text: text}}}
    messages = [
        {"role": "system", "content": text},
        {"role": text, "content": text, "name": text},
        {"role": "user", "content": [
            {"type": "text", "text": text},
            {"type": "image_url", "image_url": {"url": text}},
            {"type": "image_url", "image_url": {"url": f"data:image/svg+xml;base64,{'PHN2Zz4='}"}},
            {"type": "image", "source": {"type": "base64", "media_type": text, "data": text}},
            {"type": "input_audio", "input_audio": {"data": text, "format": text}},
            {"type": "file", "file": {"file_id": text}},
            {"type": text, text: text},
        ]},
        {"role": "assistant", "content": text, "reasoning_content": text, "refusal": text, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": text, "content": text},
    ]  # fmt: skip
    with al.start_span(text, "AGENT", {text: text}, inputs={text: text}) as root:
        al.update_current_trace(tags={text[:20]: text}, session_id=text, user=text)
        with al.start_span(
            text, "CHAT_MODEL", {"gen_ai.request.model": text, "gen_ai.request.stop_sequences": [text]}
        ) as chat:
            chat.set_inputs(
                {"messages": messages, "tools": [{"name": text, "description": text, "parameters": {text: text}}]}
            )
            chat.set_outputs({"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": text}]})
        with al.start_span(text, "RETRIEVER", inputs=text) as search:
            search.set_outputs({"documents": [{"id": text, "content": text, "score": 0.5, "metadata": {text: text}}]})
        with al.start_span(text, "EMBEDDING", inputs={"input": [text]}) as embed:
            embed.set_outputs([[0.1, 0.2]])
        with pytest.raises(RuntimeError), al.start_span(text, "TOOL", {"gen_ai.tool.name": text}, inputs=text) as tool:
            tool.add_event(text, {text: text})
            raise type(text[:30], (RuntimeError,), {})(text)
    al.log_feedback(trace_id=root.trace_id, name=text, value=text, rationale=text)
    return al.get_trace(root.trace_id)


def open_everything(page):
    """Open whatever can be opened, of every span; return all that can be read."""
    read = []
    for line in range(page.get_by_role("treeitem").count()):
        page.get_by_role("treeitem").nth(line).click()
        for tab in panel(page).get_by_role("tab").all():
            tab.click()
            page.evaluate("""() => {
                for (const one of document.querySelectorAll("details")) one.open = true;
                for (const one of document.querySelectorAll(".tv-twist[aria-expanded=false]")) one.click();
            }""")
            read.append(panel(page).inner_text())
            page.keyboard.press("m")
            read.append(panel(page).inner_text())
            page.keyboard.press("m")
    return "\n".join(read)


def spaced(text):
    return " ".join(text.split())


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_text(client, tmp_path, new_page, attack):
    text = ATTACKS[attack]
    page = new_page()
    page.add_init_script(
        "for (const name of ['alert', 'open', 'fetch']) globalThis[name] = () => { throw new Error(name + ' was called') }"
    )
    dialogs = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    saved(page, everywhere(text), tmp_path)
    asked = []
    page.on("request", lambda request: asked.append(request.url))

    read = open_everything(page)

    assert {spaced(name) for name in names(page)} == {spaced(text)}
    assert spaced(text) in spaced(read)
    assert dialogs == []
    assert [url for url in asked if not url.startswith("data:image/png")] == []
    # Nothing but what the viewer itself makes.
    assert page.locator("script").count() == 3
    assert page.locator("style").count() == 1
    assert page.locator("iframe, object, embed, base, link, form, animate").count() == 0
    assert page.locator("img").count() == 0
    assert page.evaluate("Object.keys(Object.prototype).length") == 0
    addresses = page.locator("a").evaluate_all("links => links.map(link => link.protocol)")
    assert {*addresses} <= {"http:", "https:", "mailto:"}
    # Preact gives elements no handler attributes: any would be an attack's.
    assert (
        page.evaluate(
            "[...document.querySelectorAll('*')].flatMap(e => [...e.attributes]).filter(a => a.name.startsWith('on')).length"
        )
        == 0
    )


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("safe\u202egnp.exe", "safe⟨U+202E⟩gnp.exe"),
        ("a\u200bb\u2066c\ufeff", "a⟨U+200B⟩b⟨U+2066⟩c⟨U+FEFF⟩"),
        ("nul\u0000esc\u001b[31m", "nul⟨U+0000⟩esc⟨U+001B⟩[31m"),
        ("tags\U000e0041\U000e0042", "tags⟨U+E0041⟩⟨U+E0042⟩"),
        ("شكرا שלום 🏳️‍🌈 e\u0301", "شكرا שלום 🏳️‍🌈 e\u0301"),
        ("half\ud83d", "half\ufffd"),
    ],
)
def test_what_can_not_be_seen_is_shown(client, new_page, text, seen):
    with al.start_span(text, inputs={"q": text}) as span:
        pass
    page = opened(new_page(), al.get_trace(span.trace_id))

    assert names(page) == [seen]
    assert seen in panel(page).inner_text()


def test_a_link_is_a_link_only_where_it_leads_outside_openly(client, new_page):
    text = "[a](https://example.com/a) https://example.com/b. [c](mailto:c@example.com) [d](javascript:d) [e](file:///e) [f](/f)"
    with al.start_span("step", inputs={"q": text + " " * 100}) as span:
        pass
    page = opened(new_page(), al.get_trace(span.trace_id))
    links = panel(page).locator("a")

    assert links.evaluate_all("links => links.map(link => [link.href, link.target, link.rel])") == [
        [address, "_blank", "noopener noreferrer nofollow"]
        for address in ("https://example.com/a", "https://example.com/b", "mailto:c@example.com")
    ]
    assert "[d](javascript:d) [e](file:///e) [f](/f)" in panel(page).inner_text()


@pytest.mark.parametrize(
    "text",
    ["*" * 40_000, "[" * 40_000, "`a" * 20_000, "a_" * 20_000, "|" * 20_000 + "\n" + "-" * 20_000 + "x", "~" * 30_000 + "`", "# " + "#" * 40_000 + "x",
     "> " * 20_000, "- " * 20_000, "\n".join(" " * depth + "- x" for depth in range(250)), "[a](" * 10_000, "http://" * 6_000, "**a " * 10_000, "{" * 40_000],
    ids=lambda text: text[:6].strip(),
)  # fmt: skip
def test_no_text_makes_the_page_hang(client, new_page, text):
    """Each of these takes a careless pattern minutes; the default patience of the page is the ceiling."""
    with al.start_span("step", inputs={"q": text, "r": "short"}) as span:
        pass
    page = opened(new_page(), al.get_trace(span.trace_id))

    button = panel(page).get_by_role("button", name="Show all")
    if button.count():
        button.first.click()
    page.keyboard.press("m")
    page.keyboard.press("m")
    panel(page).get_by_text("short").wait_for()
