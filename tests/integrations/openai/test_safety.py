from autolog.testing import spans


def test_x(traced, server, openai_client):
    r = openai_client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
    [s] = spans(traced)
    print(s.to_dict())
    r = list(
        openai_client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}], stream=True)
    )
    print(server.requests[0])
    openai_client.audio.speech.create(model="tts", input="x", voice="alloy")
    for s in spans(traced):
        print(s.to_dict())
