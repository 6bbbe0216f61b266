"""The filters for readings: `from edgekernel import filters`."""

from edgekernel.core.checking import Frozen, RangeCheck, RateCheck
from edgekernel.core.delaying import Debounce, DelayedOff, DelayedOn, Throttle
from edgekernel.core.filter import Filter
from edgekernel.core.shaping import Calibrate, Clamp, Delta
from edgekernel.core.smoothing import ExponentialAverage, Median, MovingAverage

__all__ = [
    "Calibrate",
    "Clamp",
    "Debounce",
    "DelayedOff",
    "DelayedOn",
    "Delta",
    "ExponentialAverage",
    "Filter",
    "Frozen",
    "Median",
    "MovingAverage",
    "RangeCheck",
    "RateCheck",
    "Throttle",
]
