"""What the fake OpenAI server answers: one function an endpoint, shaped as the real API's answers are."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

Body = dict[str, Any]

MODEL = "gpt-4o-mini-2024-07-18"
TEXT = "Hello there, world"
WORDS = ("Hello", " there", ",", " world")
JSON = '{"name": "Ada", "age": 36}'
JSON_WORDS = ('{"name"', ': "Ada"', ', "age": 36', "}")
CITIES = ("Paris", "Rome")
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(64)).decode()
VECTOR = (0.25, -0.5, 1.0)

CHAT_USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 7,
    "total_tokens": 18,
    "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2, "audio_tokens": 1},
    "completion_tokens_details": {
        "reasoning_tokens": 4,
        "audio_tokens": 2,
        "accepted_prediction_tokens": 1,
        "rejected_prediction_tokens": 1,
    },
}
RESPONSE_USAGE = {
    "input_tokens": 11,
    "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 4},
    "total_tokens": 18,
}
COMPLETION_USAGE = {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}
EMBEDDING_USAGE = {"prompt_tokens": 5, "total_tokens": 5}
IMAGE_USAGE = {
    "input_tokens": 5,
    "output_tokens": 9,
    "total_tokens": 14,
    "input_tokens_details": {"text_tokens": 4, "image_tokens": 1},
}
TRANSCRIPT_USAGE = {
    "type": "tokens",
    "input_tokens": 14,
    "output_tokens": 2,
    "total_tokens": 16,
    "input_token_details": {"audio_tokens": 12, "text_tokens": 2},
}
SPEECH_USAGE = {"input_tokens": 3, "output_tokens": 21, "total_tokens": 24}


# --- chat completions ------------------------------------------------------------------------------------


def chat(request: Body, completion_id: str = "chatcmpl-1") -> Body:
    choices = []
    for index in range(request.get("n") or 1):
        message, reason = _chat_message(request)
        choices.append({"index": index, "message": message, "finish_reason": reason, "logprobs": None})
    return {
        "id": completion_id,
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": MODEL,
        "service_tier": "default",
        "system_fingerprint": "fp_1",
        "choices": choices,
        "usage": CHAT_USAGE,
    }


def _chat_message(request: Body) -> tuple[Body, str]:
    message: Body = {"role": "assistant", "content": None, "refusal": None, "annotations": []}
    if request.get("tools"):
        name = _tool_name(request["tools"][0])
        calls = [
            {"id": f"call_{i}", "type": "function", "function": {"name": name, "arguments": json.dumps({"city": city})}}
            for i, city in enumerate(CITIES)
        ]
        return {**message, "tool_calls": calls}, "tool_calls"
    return {**message, "content": JSON if request.get("response_format") else TEXT}, "stop"


def _tool_name(tool: Body) -> str:
    return tool.get("function", tool).get("name", "tool")


def chat_chunk(choices: list[Body], **changes: Any) -> Body:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": MODEL,
        "service_tier": "default",
        "system_fingerprint": "fp_1",
        "choices": choices,
        **changes,
    }


def chat_delta(delta: Body, index: int = 0, finish_reason: str | None = None, **changes: Any) -> Body:
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return chat_chunk([choice], **changes)


def chat_stream(request: Body) -> list[Body]:
    # As the real one, every chunk carries `usage: null` where usage was asked for.
    asked = (request.get("stream_options") or {}).get("include_usage")
    null: Body = {"usage": None} if asked else {}
    count = request.get("n") or 1
    chunks = [
        chat_delta({"role": "assistant", "content": "", "refusal": None}, index, **null) for index in range(count)
    ]
    for delta in _chat_deltas(request):
        chunks += [chat_delta(delta, index, **null) for index in range(count)]
    reason = "tool_calls" if request.get("tools") else "stop"
    chunks += [chat_delta({}, index, reason, **null) for index in range(count)]
    if asked:
        chunks.append(chat_chunk([], usage=CHAT_USAGE))
    return chunks


def _chat_deltas(request: Body) -> list[Body]:
    if not request.get("tools"):
        return [{"content": word} for word in (JSON_WORDS if request.get("response_format") else WORDS)]
    name = _tool_name(request["tools"][0])
    deltas: list[Body] = []
    for i in range(len(CITIES)):
        function = {"name": name, "arguments": ""}
        deltas.append({"tool_calls": [{"index": i, "id": f"call_{i}", "type": "function", "function": function}]})
    # Pieces of both calls, taking turns.
    for part in range(3):
        for i, city in enumerate(CITIES):
            arguments = ('{"city"', f': "{city}', '"}')[part]
            deltas.append({"tool_calls": [{"index": i, "function": {"arguments": arguments}}]})
    return deltas


# --- responses -------------------------------------------------------------------------------------------


def response(request: Body, status: str | None = None, **changes: Any) -> Body:
    status = status or ("queued" if request.get("background") else "completed")
    is_done = status in ("completed", "incomplete")
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": status,
        "background": bool(request.get("background")),
        "error": {"code": "server_error", "message": "the model failed"} if status == "failed" else None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "instructions": request.get("instructions"),
        "max_output_tokens": request.get("max_output_tokens"),
        "metadata": request.get("metadata") or {},
        "model": MODEL,
        "output": _response_output(request) if is_done else [],
        "parallel_tool_calls": True,
        "previous_response_id": request.get("previous_response_id"),
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": request.get("tools") or [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": RESPONSE_USAGE if is_done else None,
        "user": None,
        **changes,
    }


def _response_output(request: Body) -> list[Body]:
    if request.get("tools"):
        name = _tool_name(request["tools"][0])
        return [
            {
                "type": "function_call",
                "id": f"fc_{i}",
                "call_id": f"call_{i}",
                "name": name,
                "arguments": json.dumps({"city": city}),
                "status": "completed",
            }
            for i, city in enumerate(CITIES)
        ]
    return [_response_message(JSON if request.get("text") else TEXT)]


def _response_message(text: str) -> Body:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [part]}


def response_stream(request: Body, status: str = "completed") -> list[Body]:
    started = response(request, "in_progress")
    finished = response(request, status)
    events: list[Body] = [
        {"type": "response.created", "response": started},
        {"type": "response.in_progress", "response": started},
    ]
    for position, item in enumerate(_response_output(request)):
        events += _item_events(position, item, request)
    events.append({"type": f"response.{status}", "response": finished})
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def _item_events(position: int, item: Body, request: Body) -> list[Body]:
    place = {"item_id": item["id"], "output_index": position}
    if item["type"] == "function_call":
        empty = {**item, "status": "in_progress", "arguments": ""}
        return [
            {"type": "response.output_item.added", "output_index": position, "item": empty},
            {"type": "response.function_call_arguments.delta", **place, "delta": item["arguments"][:4]},
            {"type": "response.function_call_arguments.delta", **place, "delta": item["arguments"][4:]},
            {"type": "response.function_call_arguments.done", **place, "arguments": item["arguments"]},
            {"type": "response.output_item.done", "output_index": position, "item": item},
        ]
    place["content_index"] = 0
    [part] = item["content"]
    words = JSON_WORDS if request.get("text") else WORDS
    added = {**item, "status": "in_progress", "content": []}
    return [
        {"type": "response.output_item.added", "output_index": position, "item": added},
        {"type": "response.content_part.added", **place, "part": {**part, "text": ""}},
        *({"type": "response.output_text.delta", **place, "delta": word, "logprobs": []} for word in words),
        {"type": "response.output_text.done", **place, "text": part["text"], "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part},
        {"type": "response.output_item.done", "output_index": position, "item": item},
    ]


def compacted(request: Body) -> Body:
    return {
        "id": "cmp_1",
        "object": "response.compaction",
        "created_at": 1_700_000_000,
        "output": [_response_message(TEXT)],
        "usage": RESPONSE_USAGE,
    }


def input_tokens(request: Body) -> Body:
    return {"object": "response.input_tokens", "input_tokens": 11}


# --- everything else -------------------------------------------------------------------------------------


def completion(request: Body) -> Body:
    return {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1_700_000_000,
        "model": "gpt-3.5-turbo-instruct",
        "choices": [{"index": 0, "text": TEXT, "finish_reason": "stop", "logprobs": None}],
        "usage": COMPLETION_USAGE,
    }


def completion_stream(request: Body) -> list[Body]:
    head = {**completion(request), "choices": []}
    del head["usage"]
    texts = [(word, None) for word in WORDS] + [("", "stop")]
    chunks = [
        {**head, "choices": [{"index": 0, "text": text, "finish_reason": reason, "logprobs": None}]}
        for text, reason in texts
    ]
    if (request.get("stream_options") or {}).get("include_usage"):
        chunks.append({**head, "usage": COMPLETION_USAGE})
    return chunks


def embeddings(request: Body) -> Body:
    texts = request.get("input")
    count = len(texts) if isinstance(texts, list) and texts and isinstance(texts[0], (str, list)) else 1
    packed = base64.b64encode(struct.pack("<3f", *VECTOR)).decode()
    vector = packed if request.get("encoding_format") == "base64" else list(VECTOR)
    return {
        "object": "list",
        "model": "text-embedding-3-small",
        "data": [{"object": "embedding", "index": index, "embedding": vector} for index in range(count)],
        "usage": EMBEDDING_USAGE,
    }


def images(request: Body) -> Body:
    return {
        "created": 1_700_000_000,
        "data": [{"b64_json": PNG}],
        "output_format": "png",
        "quality": "low",
        "size": "1024x1024",
        "usage": IMAGE_USAGE,
    }


def image_stream(kind: str) -> list[Body]:
    head = {
        "b64_json": PNG,
        "background": "opaque",
        "created_at": 1_700_000_000,
        "output_format": "png",
        "quality": "low",
        "size": "1024x1024",
    }
    return [
        {"type": f"{kind}.partial_image", "partial_image_index": 0, **head},
        {"type": f"{kind}.completed", "usage": IMAGE_USAGE, **head},
    ]


def transcription(request: Body) -> Body:
    return {"text": TEXT, "usage": TRANSCRIPT_USAGE}


def transcription_stream(request: Body) -> list[Body]:
    deltas = [{"type": "transcript.text.delta", "delta": word} for word in WORDS]
    return [*deltas, {"type": "transcript.text.done", "text": TEXT, "usage": TRANSCRIPT_USAGE}]


def translation(request: Body) -> Body:
    return {"text": TEXT}


def speech_stream(request: Body) -> list[Body]:
    audio = base64.b64encode(bytes(300)).decode()
    return [
        {"type": "speech.audio.delta", "audio": audio},
        {"type": "speech.audio.delta", "audio": audio},
        {"type": "speech.audio.done", "usage": SPEECH_USAGE},
    ]


def moderation(request: Body) -> Body:
    result = {
        "flagged": True,
        "categories": {"violence": True, "hate": False},
        "category_scores": {"violence": 0.9, "hate": 0.01},
        "category_applied_input_types": {"violence": ["text"], "hate": ["text"]},
    }
    return {"id": "modr-1", "model": "omni-moderation-latest", "results": [result]}


def decision(request: Body) -> Body:
    return {
        "model": "gpt-6-luna",
        "answers": [{"type": "predicate", "name": None, "probability": 0.9}],
        "usage": RESPONSE_USAGE,
    }


def search_results(request: Body) -> Body:
    found = {
        "file_id": "file_1",
        "filename": "guide.md",
        "score": 0.87,
        "attributes": {"language": "en"},
        "content": [{"type": "text", "text": "To begin, "}, {"type": "text", "text": "install it."}],
    }
    return {
        "object": "vector_store.search_results.page",
        "search_query": [request.get("query")],
        "data": [found],
        "has_more": False,
        "next_page": None,
    }


def run(request: Body, **changes: Any) -> Body:
    return {
        "id": "run_1",
        "object": "thread.run",
        "created_at": 1_700_000_000,
        "thread_id": "thread_1",
        "assistant_id": request.get("assistant_id", "asst_1"),
        "status": "completed",
        "model": "gpt-4o",
        "instructions": "",
        "tools": [],
        "metadata": {},
        "parallel_tool_calls": True,
        "usage": COMPLETION_USAGE,
        **changes,
    }


def run_stream(request: Body) -> list[tuple[str, Body]]:
    """The only stream whose events are told apart by the name beside their data."""
    created = run(request, status="queued", usage=None)
    deltas = [
        {
            "id": "msg_1",
            "object": "thread.message.delta",
            "delta": {"content": [{"index": 0, "type": "text", "text": {"value": word, "annotations": []}}]},
        }
        for word in WORDS
    ]
    return [
        ("thread.run.created", created),
        *(("thread.message.delta", delta) for delta in deltas),
        ("thread.run.completed", run(request)),
    ]


def video(request: Body) -> Body:
    return {
        "id": "video_1",
        "object": "video",
        "created_at": 1_700_000_000,
        "model": "sora-2",
        "status": "queued",
        "progress": 0,
        "prompt": "a cat",
        "seconds": "4",
        "size": "720x1280",
    }


def batch(request: Body) -> Body:
    return {
        "id": "batch_1",
        "object": "batch",
        "endpoint": "/v1/chat/completions",
        "status": "validating",
        "input_file_id": "file_1",
        "completion_window": "24h",
        "created_at": 1_700_000_000,
    }


def fine_tuning_job(request: Body) -> Body:
    return {
        "id": "ftjob_1",
        "object": "fine_tuning.job",
        "created_at": 1_700_000_000,
        "model": "gpt-4o-mini",
        "organization_id": "org_1",
        "result_files": [],
        "seed": 1,
        "status": "queued",
        "training_file": "file_1",
        "hyperparameters": {"n_epochs": "auto"},
    }


def eval_run(request: Body) -> Body:
    return {
        "id": "evalrun_1",
        "object": "eval.run",
        "created_at": 1_700_000_000,
        "eval_id": "eval_1",
        "model": MODEL,
        "name": "nightly",
        "status": "queued",
        "metadata": {},
        "per_model_usage": [],
        "per_testing_criteria_results": [],
        "report_url": "https://platform.openai.com/evaluations/eval_1",
        "result_counts": {"total": 0, "passed": 0, "failed": 0, "errored": 0},
    }


def conversation(request: Body) -> Body:
    return {"id": "conv_1", "object": "conversation", "created_at": 1_700_000_000, "metadata": {}}


def models(request: Body) -> Body:
    return {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 1, "owned_by": "openai"}]}


def empty_list(request: Body) -> Body:
    return {"object": "list", "data": [], "has_more": False, "first_id": None, "last_id": None}
