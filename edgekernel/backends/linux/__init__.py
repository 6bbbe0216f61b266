"""The boundaries of a Linux board: gpiozero with lgpio, smbus2, pyserial, spidev, sysfs."""

from edgekernel.backends.linux.backend import LinuxBackend

__all__ = ["LinuxBackend"]
