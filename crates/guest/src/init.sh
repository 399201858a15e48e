#!/bin/busybox sh
# The guest's first process: makes it a machine, and becomes what /first says.
/bin/busybox --install -s /bin 2>/dev/null
export PATH=/bin
# Where the kernel looks for modprobe.
ln -s bin /sbin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev

cat >/steps <<'STEPS'
# Runs a command and records its standard output and exit code: a header that tells the length, then the bytes.
step() {
    step_name=$1
    shift
    step_code=0
    "$@" >/tmp/step || step_code=$?
    echo "step $step_name $step_code $(wc -c </tmp/step)" >&3
    cat /tmp/step >&3
}
# Keeps the files below some folders for the next boot. Their names have no white space.
keep() {
    for kept in $(find "$@" -type f); do
        echo "keep $kept $(wc -c <"$kept")" >&3
        cat "$kept" >&3
    done
}
STEPS
exec $(cat /first)
