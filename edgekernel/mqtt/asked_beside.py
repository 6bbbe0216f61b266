"""What a request says beside its payload, as it can on MQTT 5: where its answer goes, what that
brings back, and for how long it counts."""

from __future__ import annotations

from dataclasses import replace

from edgekernel.core.clock import NANOSECONDS
from edgekernel.mqtt.payloads import PayloadError, Request
from edgekernel.mqtt.transport import Properties

MAX_CORRELATION = 1024
"""Bytes; they wait with the request."""
_MAX_TRACE = 512
"""Characters of a value, as Trace Context allows for `tracestate` (W3C, section 3.3.1.1)."""

TRACE = ("traceparent", "tracestate")
"""User properties that go back with the answer: by them a client's tracing knows its request (W3C
Trace Context: MQTT protocol)."""


def with_properties(
    request: Request | PayloadError, properties: Properties, now_ns: int
) -> Request | PayloadError:
    """Return a request that has arrived with properties at a monotonic time.

    It is refused if its payload says something else. The correlation data need not be the `id`: by
    the `id` a repeat is known, while many clients begin to count anew whenever they start.
    """
    reply = request.reply
    trace = tuple(
        (name, value)
        for name, value in properties.user
        if name in TRACE and len(value) <= _MAX_TRACE
    )
    topic, correlation = properties.response_topic, properties.correlation
    if len(correlation) > MAX_CORRELATION:
        reply = replace(reply, topic=reply.topic or topic or None)
        return PayloadError(f"the correlation data have more than {MAX_CORRELATION} bytes", reply)
    if correlation or trace:
        reply = replace(reply, beside=Properties(correlation=correlation, user=trace))
    if topic and reply.topic is not None and reply.topic != topic:
        return PayloadError(
            f"'reply_to' is {reply.topic[:200]!r} and the response topic {topic[:200]!r}: give one "
            "of them, or the same twice",
            reply,
        )
    request.reply = replace(reply, topic=reply.topic or topic or None)
    if isinstance(request, Request) and properties.expiry_s is not None:
        request.until_ns = now_ns + properties.expiry_s * NANOSECONDS
    return request
