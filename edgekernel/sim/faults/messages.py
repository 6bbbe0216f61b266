"""What a fault plan says while it is played."""

from __future__ import annotations

from edgekernel.core.messages import Message


class FaultBegan(Message):
    """A fault of the plan is there from now on; `settings` as the plan has them.

    `fault` is its place in the plan, counted from 1 as in what is said of mistakes there.
    """

    fault: str
    kind: str
    target: str
    settings: str


class FaultEnded(Message):
    """The fault is healed; `fault` as in FaultBegan."""

    fault: str
    kind: str
    target: str
