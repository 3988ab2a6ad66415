"""Methods that are observed wherever a subclass defines them, and modules that are waited for."""

from __future__ import annotations

import sys
import types

import pytest

from autolog.instrumentation import Integration
from autolog.testing import spans


class Base:
    """A library's base class, which the program's classes extend."""

    def embed(self, text):
        raise NotImplementedError


class Early(Base):
    def embed(self, text):
        return [len(text)]


def trace_embed(call):
    with call.start_span(type(call.instance).__name__) as span:
        span.set_outputs((yield))


class Embedding(Integration):
    name = "embedding"
    requires = "pytest>=1"
    module = __name__
    overrides = {f"{__name__}:Base": {"embed": trace_embed}}


@pytest.fixture
def integration(client):
    sys.modules.setdefault(__name__, sys.modules[Base.__module__])
    found = Embedding()
    found.install(client.tracer)
    yield found
    found.uninstall()


def names(client):
    return [span.name for span in spans(client)]


def test_subclasses_of_before_and_of_later_are_observed(client, integration):
    class Late(Base):
        def embed(self, text):
            return [0]

    class Below(Late):
        pass

    class Further(Below):
        def embed(self, text):
            return super().embed(text)

    assert Early().embed("abc") == [3]
    for kind in (Late, Below, Further):
        kind().embed("abc")
    assert names(client) == ["Early", "Late", "Below", "Further", "Further"]


def test_everything_is_as_before_once_it_is_turned_off(client, integration):
    class Late(Base):
        def embed(self, text):
            return [0]

    integration.install(client.tracer)
    integration.uninstall()

    class Later(Base):
        def embed(self, text):
            return [0]

    for kind in (Early, Late, Later):
        kind().embed("abc")
        assert not hasattr(vars(kind)["embed"], "__wrapped__")
    assert "__init_subclass__" not in vars(Base)
    assert names(client) == []


def test_a_class_that_has_a_hook_of_its_own_keeps_it(client):
    told = []

    class Hooked:
        def __init_subclass__(cls, mark=None):
            told.append((cls.__name__, mark))

        def embed(self, text):
            return None

    module = types.ModuleType("hooked_library")
    module.Hooked = Hooked
    sys.modules["hooked_library"] = module

    class HookedEmbedding(Embedding):
        overrides = {"hooked_library:Hooked": {"embed": trace_embed}}

    integration = HookedEmbedding()
    before = vars(Hooked)["__init_subclass__"]
    try:
        integration.install(client.tracer)

        class Own(Hooked, mark=7):
            def embed(self, text):
                return [1]

        Own().embed("abc")
    finally:
        integration.uninstall()
        del sys.modules["hooked_library"]
    assert told == [("Own", 7)]
    assert names(client) == ["Own"]
    assert vars(Hooked)["__init_subclass__"] is before


def test_a_module_that_is_imported_later_is_waited_for_and_not_imported(client, tmp_path, monkeypatch):
    (tmp_path / "late_library.py").write_text("class Base:\n    def embed(self, text):\n        return [2]\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(Embedding, "overrides", {})
    monkeypatch.setattr(Embedding, "targets", {"late_library:Base.embed": trace_embed})
    integration = Embedding()
    integration.install(client.tracer)
    assert "late_library" not in sys.modules

    import late_library

    try:
        assert late_library.Base().embed("abc") == [2]
        integration.uninstall()
        late_library.Base().embed("abc")
    finally:
        sys.modules.pop("late_library", None)
    assert names(client) == ["Base"]


def test_a_module_that_is_imported_after_it_was_turned_off_is_left_alone(client, tmp_path, monkeypatch):
    (tmp_path / "later_library.py").write_text("class Base:\n    def embed(self, text):\n        return [2]\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(Embedding, "overrides", {})
    monkeypatch.setattr(Embedding, "targets", {"later_library:Base.embed": trace_embed})
    integration = Embedding()
    integration.install(client.tracer)
    integration.uninstall()

    import later_library

    try:
        assert not hasattr(later_library.Base.embed, "__wrapped__")
    finally:
        sys.modules.pop("later_library", None)
