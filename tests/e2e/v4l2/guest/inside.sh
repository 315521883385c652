# Runs in the guest, on the machine's own file system: what a started system has, the drivers, then the command.
RUN=$1
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mkdir -p /dev/pts /dev/shm
mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
[[ -c /dev/ptmx ]] || ln -s pts/ptmx /dev/ptmx
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /run/user/0
chmod 700 /run/user/0
ln -sf /proc/self/fd /dev/fd
for i in 0:stdin 1:stdout 2:stderr; do ln -sf "/proc/self/fd/${i%:*}" "/dev/${i#*:}"; done
/bin/busybox ifconfig lo 127.0.0.1 up
cp "$RUN/v4l2loopback.ko" "/lib/modules/$(uname -r)/" && depmod -a
while IFS= read -r line; do eval "modprobe $line" || exit 125; done <"$RUN/modules"
for device in /dev/video*; do chgrp video "$device" && chmod 660 "$device"; done 2>/dev/null    # as udev would
while IFS= read -r -d '' variable; do export "$variable" 2>/dev/null; done <"$RUN/environment"
export XDG_RUNTIME_DIR=/run/user/0 PATH=$PATH:/usr/sbin:/sbin
# under User Mode Linux a page fault costs 100 us: keep freed memory
[[ $(uname -r) != *-uml* && $(uname -r) != *-phosphene* ]] ||
    export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=4000000000 MALLOC_TOP_PAD_=67108864
mapfile -d '' -t command <"$RUN/command"
cd "${command[0]}" || exit 125
exec "${command[@]:1}"
