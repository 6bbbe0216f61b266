"""What a fault plan says while it is played."""

from __future__ import annotations

from edgekernel.core.messages import Message


class FaultBegan(Message):
    """A fault of the plan is there from now on; `settings` as the plan has them."""

    fault: str
    kind: str
    target: str
    settings: str


class FaultEnded(Message):
    """The fault is healed."""

    fault: str
    kind: str
    target: str
