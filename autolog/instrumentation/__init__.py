"""How autolog observes other libraries; what an integration is written against."""

from autolog.instrumentation.call import Call, Observer, only_if
from autolog.instrumentation.http_response import ResponseWatch
from autolog.instrumentation.integration import Integration

__all__ = ["Call", "Integration", "Observer", "ResponseWatch", "only_if"]
