"""Recorded HTTP traffic between the OpenAI SDK and a model server; README.md says how it was made."""
