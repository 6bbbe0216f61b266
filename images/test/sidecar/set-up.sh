#!/bin/sh
# Gives a computer in QEMU the GPIO chip of a Raspberry Pi 4 and an I²C bus, both simulated by the
# kernel: run as root from the side-car disk. Says where the lines' pulls and levels are.
set -eu
cd "$(dirname "$0")"

insmod irq_sim.ko
modprobe -a configfs i2c-dev
insmod gpio-sim.ko
# Chips at these addresses, all registers 0 (Documentation/i2c/i2c-stub.rst).
insmod i2c-stub.ko chip_addr=0x18,0x48

mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
chip=/sys/kernel/config/gpio-sim/pi
mkdir -p "$chip/bank"
echo 58 >"$chip/bank/num_lines"
echo pinctrl-bcm2711 >"$chip/bank/label"
echo 1 >"$chip/live"
udevadm settle
echo "/sys/devices/platform/$(cat "$chip/dev_name")/$(cat "$chip/bank/chip_name")"
