# U-Boot, on a Raspberry Pi and in QEMU: boots the first slot of BOOT_ORDER that has a try left, and
# counts it. RAUC sets both, and gives a slot its tries back when it is found good.
# The variables are in uboot.env on the first partition. A damaged file is as none: slot A first.
# extra_args in it is added to the command line of the kernel.
setenv state uboot.env
setenv state_size 0x4000
setenv state_addr ${scriptaddr}
setexpr state_addr ${scriptaddr} + 0x100000

if fatload ${devtype} ${devnum}:1 ${state_addr} ${state} ${state_size}; then
    env import -c ${state_addr} ${state_size} BOOT_ORDER BOOT_A_LEFT BOOT_B_LEFT extra_args
fi
test -n "${BOOT_ORDER}" || setenv BOOT_ORDER "A B"
test -n "${BOOT_A_LEFT}" || setenv BOOT_A_LEFT 3
test -n "${BOOT_B_LEFT}" || setenv BOOT_B_LEFT 3

setenv slot
setenv part
for each in ${BOOT_ORDER}; do
    if test -n "${slot}"; then
        true
    elif test "${each}" = "A" && test ${BOOT_A_LEFT} -gt 0; then
        setexpr BOOT_A_LEFT ${BOOT_A_LEFT} - 1
        setenv slot A
        setenv part 2
    elif test "${each}" = "B" && test ${BOOT_B_LEFT} -gt 0; then
        setexpr BOOT_B_LEFT ${BOOT_B_LEFT} - 1
        setenv slot B
        setenv part 3
    fi
done

if test -z "${slot}"; then
    echo "edgekernel: no slot has a try left; both get three more"
    setenv BOOT_A_LEFT 3
    setenv BOOT_B_LEFT 3
fi
env export -c -s ${state_size} ${state_addr} BOOT_ORDER BOOT_A_LEFT BOOT_B_LEFT extra_args
fatwrite ${devtype} ${devnum}:1 ${state_addr} ${state} ${state_size}
test -n "${slot}" || reset

echo "edgekernel: slot ${slot}"
# persist_gpio_outputs: an output keeps its level when the agent that held its line is gone.
setenv bootargs "root=PARTUUID=edce2026-0${part} ro rootwait fsck.mode=skip systemd.volatile=state rauc.slot=${slot} panic=10 pinctrl_bcm2835.persist_gpio_outputs=1 quiet ${extra_args}"
setenv tree ${fdt_addr}
test -n "${tree}" || setenv tree ${fdtcontroladdr}
load ${devtype} ${devnum}:${part} ${kernel_addr_r} /boot/vmlinuz && load ${devtype} ${devnum}:${part} ${ramdisk_addr_r} /boot/initrd.img && booti ${kernel_addr_r} ${ramdisk_addr_r}:${filesize} ${tree}
echo "edgekernel: slot ${slot} does not boot"
reset
