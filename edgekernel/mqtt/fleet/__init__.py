"""The other side of MQTT: the nodes on a broker, seen and controlled from anywhere."""

from edgekernel.mqtt.fleet.configuring import DesiredResult, NodeConfig, NodeReport
from edgekernel.mqtt.fleet.errors import NoAnswerError, RequestRefusedError
from edgekernel.mqtt.fleet.fleet import Fleet
from edgekernel.mqtt.fleet.forecasting import ConfigForecast, DeviceForecast, KeyForecast
from edgekernel.mqtt.fleet.holding import HeldLease
from edgekernel.mqtt.fleet.node_schema import (
    CommandSchema,
    LeaseSchema,
    NodeSchema,
    OutputSchema,
    SignatureSchema,
    Text,
)
from edgekernel.mqtt.fleet.results import (
    BusyState,
    DeviceState,
    LeaseState,
    LinkState,
    Node,
    NodeEvent,
    NodeHealth,
    NodeInfo,
    NodeStatus,
    NodeUpdate,
    Outcome,
    SignalState,
)
from edgekernel.mqtt.fleet.selecting import parse_where
from edgekernel.mqtt.fleet.stream import Stream
from edgekernel.mqtt.signing import Signer

__all__ = [
    "BusyState",
    "CommandSchema",
    "ConfigForecast",
    "DesiredResult",
    "DeviceForecast",
    "DeviceState",
    "Fleet",
    "HeldLease",
    "KeyForecast",
    "LeaseSchema",
    "LeaseState",
    "LinkState",
    "NoAnswerError",
    "Node",
    "NodeConfig",
    "NodeEvent",
    "NodeHealth",
    "NodeInfo",
    "NodeReport",
    "NodeSchema",
    "NodeStatus",
    "NodeUpdate",
    "Outcome",
    "OutputSchema",
    "RequestRefusedError",
    "SignalState",
    "SignatureSchema",
    "Signer",
    "Stream",
    "Text",
    "parse_where",
]
