setsid /usr/lib/xorg/Xorg :0 -config /etc/xorg.conf -noreset -nolisten tcp -logfile /run/Xorg.log \
    </dev/null >/run/Xorg.out 2>&1 &
i=0
until DISPLAY=:0 /usr/bin/xrandr >/dev/null 2>&1; do
    i=$((i+1))
    if [ $i -gt 200 ]; then
        cat /run/Xorg.out /run/Xorg.log >/dev/console
        exit 1
    fi
    sleep 0.1
done
