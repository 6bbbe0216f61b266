"""What can go wrong between a client and a node.

    EdgekernelError
        NoAnswerError           the broker or the node did not answer in time, or is offline
        RequestRefusedError     the node answered that it did not do what was asked

What the client itself refuses, before anything is sent, is an `InvalidValueError` or an
`UnknownTargetError`, as on the node.
"""

from __future__ import annotations

from edgekernel.core.errors import EdgekernelError


class NoAnswerError(EdgekernelError, TimeoutError):
    """The broker or the node did not answer in time, or is offline."""

    code = "no_answer"


class RequestRefusedError(EdgekernelError):
    """The node answered that it did not do what was asked; `code` says why in one word."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
