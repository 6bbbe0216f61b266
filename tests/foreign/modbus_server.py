"""A Modbus server by pymodbus on the port DEVICE; says "ready", ends with its input."""

from __future__ import annotations

import asyncio
import sys

from pymodbus.framer import FramerType
from pymodbus.server import ModbusSerialServer
from pymodbus.simulator import DataType, SimData, SimDevice


def _device() -> SimDevice:
    coils = [SimData(0, values=[True, False, True], datatype=DataType.BITS)]
    discretes = [SimData(8, values=[False, True], datatype=DataType.BITS)]
    holding = [
        SimData(0, values=[235, 65534], datatype=DataType.REGISTERS),
        SimData(10, values=[230.5], datatype=DataType.FLOAT32),
        SimData(20, values=[-100_000], datatype=DataType.INT32),
    ]
    inputs = [SimData(7, values=[4711], datatype=DataType.REGISTERS)]
    return SimDevice(17, simdata=(coils, discretes, holding, inputs))


async def _serve(device: str) -> None:
    server = ModbusSerialServer(
        _device(), framer=FramerType.RTU, port=device, baudrate=19200, parity="N"
    )
    await server.serve_forever(background=True)  # raises if it cannot
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await server.shutdown()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
