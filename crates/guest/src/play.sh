#!/bin/busybox sh
# Runs /script, says how that ended, and switches the power off.
export PATH=/bin
stty -F /dev/ttyS1 raw
exec 3>/dev/ttyS1
sh -euxc '. /steps; . /script' </dev/null >/dev/console 2>&1
echo "end $?" >&3
exec 3>&-
poweroff -f
