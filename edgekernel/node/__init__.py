"""The agent: a node file checked, planned and assembled into a runtime."""

from edgekernel.node.assemble import assemble
from edgekernel.node.board import Board
from edgekernel.node.document import NodeDocument, load_document
from edgekernel.node.memory import FileMemory
from edgekernel.node.packs import board_names, driver_names, load_board, load_driver
from edgekernel.node.plan import Plan, make_plan

__all__ = [
    "Board",
    "FileMemory",
    "NodeDocument",
    "Plan",
    "assemble",
    "board_names",
    "driver_names",
    "load_board",
    "load_document",
    "load_driver",
    "make_plan",
]
