#!/bin/busybox sh
# The guest's first process. It mounts what programs expect, runs /etc/rc, and then runs the commands
# that come over the second serial line, each a line:
#
#   run LENGTH NUMBER SECONDS SCRIPT    SCRIPT in base64
#   reply LENGTH NUMBER STATUS OUTPUT   OUTPUT in base64, stdout and stderr together
#
# LENGTH is that of what follows it: under emulation this line loses bytes now and then. A command that
# lost some is not run. It comes again until it is answered; one that was run is only answered again.
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

last=
while read -r run length command <&3; do
    [ "$run" = run ] && [ "$length" = ${#command} ] || continue
    if [ "$command" != "$last" ]; then
        last=$command
        set -- $command
        echo "$3" | base64 -d >/run/command
        timeout -s KILL "$2" sh /run/command </dev/null >/run/output 2>&1 3>&-
        reply="$1 $? $(tail -c 65536 /run/output | base64 -w 0)"
    fi
    echo "reply ${#reply} $reply" >&3
done
