#!/bin/busybox sh
# The guest's first process. It mounts what programs expect, runs /etc/rc, and then runs the commands
# that come over the second serial line, each a line:
#
#   NUMBER SECONDS SCRIPT        SCRIPT in base64
#   reply NUMBER STATUS OUTPUT   OUTPUT in base64, stdout and stderr together
#
# The first serial line is the kernel's log.

/bin/busybox --install -s /bin
export PATH=/bin HOME=/ LC_ALL=C
mount -t devtmpfs devtmpfs /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
ip link set lo up

exec 3<>/dev/ttyS1
stty -F /dev/ttyS1 raw -echo

sh /etc/rc >/run/rc 2>&1 3>&-
echo "ready $?" >&3

while read -r number seconds script <&3; do
    # An empty line only wakes us up.
    [ -n "$number" ] || continue
    echo "$script" | base64 -d >/run/command
    timeout -s KILL "$seconds" sh /run/command </dev/null >/run/output 2>&1 3>&-
    status=$?
    echo "reply $number $status $(tail -c 65536 /run/output | base64 -w 0)" >&3
done
