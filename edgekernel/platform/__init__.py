"""What the image sets up below the node: the network of the computer, and the size of its card.

It runs at every start and before the network, so it imports little: neither the node nor pydantic.
"""
