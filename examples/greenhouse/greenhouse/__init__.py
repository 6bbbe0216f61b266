"""The greenhouse example: an application and the world it is simulated in."""
