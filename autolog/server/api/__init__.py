"""The REST interface: a module a noun, each with the routes of its `router`."""
