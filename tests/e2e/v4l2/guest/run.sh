#!/usr/bin/env bash
# Boots a throw-away guest kernel with real V4L2 drivers and runs one command in it.
#
#   run.sh COMMAND [ARGUMENT...]
#
# /dev/video0 is vivid, the kernel's virtual webcam; /dev/video10 is a v4l2loopback with exclusive_caps=1. The guest
# sees this machine's files under their own paths, through an overlay: what the command writes is thrown away, except
# in the folders of GUEST_SHARED. It runs as root in the current folder with the current environment, without network.
#
#   GUEST_KERNEL   uml | kvm | tcg; default: kvm where it really works, else uml
#   GUEST_LOOPBACK 0.12 (default: Debian 12, Ubuntu 22.04 and 24.04) | 0.13 | 0.15
#   GUEST_MODULES  lines for modprobe; default: vivid and v4l2loopback as above
#   GUEST_SHARED   folders, colon separated, that the command may really write to
#   GUEST_TIMEOUT  seconds, boot included (300)      GUEST_MEMORY  MiB (3072)      GUEST_CACHE  built kernels
#
# Exit status: the command's; 124 timed out; 125 the guest failed.
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin
here=$(dirname "$(readlink -f "$0")")
loopback=${GUEST_LOOPBACK:-0.12}
cache=${GUEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/phosphene/guest-kernel}
modules=${GUEST_MODULES-$'vivid n_devs=1 node_types=0x1 num_inputs=1 input_types=0x0\nv4l2loopback devices=1 video_nr=10 exclusive_caps=1 card_label="Virtual Camera"'}
run="" guest=""

die() { echo "guest: $*" >&2; exit 125; }

pick() {
    # a node /dev/kvm is not enough: some containers cannot open it, and on hosts with kvm_pvm no stock kernel boots
    if grep -qwE 'vmx|svm' /proc/cpuinfo && [[ ! -d /sys/module/kvm_pvm && -r /dev/kvm && -w /dev/kvm ]]; then echo kvm; else echo uml; fi
}
kind=${GUEST_KERNEL:-$(pick)}
case $kind in uml) kernel=$cache/uml ;; kvm | tcg) kernel=$cache/qemu ;; *) die "GUEST_KERNEL=$kind: not uml, kvm or tcg" ;; esac
"$here/build.sh" "${kernel##*/}" "$cache"
[[ -f $kernel/v4l2loopback-$loopback.ko ]] || die "no v4l2loopback $loopback in $kernel"
(($# > 0)) || { sed -n '2,/^set -e/{/^set -e/d;s/^# \{0,1\}//p}' "$0"; exit 0; }

cleanup() {
    [[ -z $guest ]] || { kill "$guest" 2>/dev/null && wait "$guest" 2>/dev/null; } || true
    rm -rf "$run"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
run=$(readlink -f "$(mktemp -d /tmp/guest.XXXXXX)")      # short: UML puts a socket below it
env -0 >"$run/environment"
printf '%s\0' "$PWD" "$@" >"$run/command"
printf '%s\n' "$modules" | sed '/^$/d' >"$run/modules"
cp "$kernel/v4l2loopback-$loopback.ko" "$run/v4l2loopback.ko"
cp "$here/inside.sh" "$run/inside.sh"
: >"$run/shared"
IFS=: read -r -a shared <<<"${GUEST_SHARED:-}"
for folder in ${shared[@]+"${shared[@]}"}; do readlink -e "$folder" >>"$run/shared" || die "GUEST_SHARED: no folder $folder"; done
mkfifo "$run/out" "$run/err"

if [[ $kind == uml ]]; then
    install -m 755 "$here/init_uml" "$run/init"
    boot=("$kernel/linux" "mem=${GUEST_MEMORY:-3072}M" rootfstype=hostfs rootflags=/ ro "init=$run/init" "uml_dir=$run" umid=uml
        quiet loglevel=4 panic=-1 con=null ssl=null con0=null con1=null,fd:3 con2=null,fd:4
        "phosphene.run=$run" "phosphene.kernel=$kernel")
else
    boot=(qemu-system-x86_64 -nodefaults -no-user-config -no-reboot -display none -monitor none -machine q35 -smp 2
        -m "${GUEST_MEMORY:-3072}" -nic none -kernel "$kernel/vmlinuz" -initrd "$kernel/initrd.gz"
        -append "console=ttyS0 quiet loglevel=4 panic=-1 phosphene.run=$run" -serial "file:$run/console"
        -device virtio-rng-pci -device virtio-serial-pci
        -fsdev local,id=hostroot,path=/,security_model=none,readonly=on,multidevs=remap
        -device virtio-9p-pci,fsdev=hostroot,mount_tag=hostroot)
    for port in out err status; do
        boot+=(-chardev "file,id=$port,path=$run/$port" -device "virtserialport,chardev=$port,name=$port")
    done
    n=0
    while read -r folder; do
        boot+=(-fsdev "local,id=shared$n,path=${folder//,/,,},security_model=none,multidevs=remap" -device "virtio-9p-pci,fsdev=shared$n,mount_tag=shared$n")
        n=$((n + 1))
    done <"$run/shared"
    # nested on some AMD hosts QEMU dies of the register that arch-capabilities wants to set
    if [[ $kind == kvm ]]; then boot+=(-accel kvm -cpu host,-arch-capabilities); else boot+=(-accel tcg,thread=multi -cpu max); fi
fi

cat <"$run/out" & copies=($!)
cat <"$run/err" >&2 & copies+=($!)
ended=0
if [[ $kind == uml ]]; then
    timeout -k 5 "${GUEST_TIMEOUT:-300}" "${boot[@]}" </dev/null >"$run/console" 2>&1 3>"$run/out" 4>"$run/err" & guest=$!
else
    timeout -k 5 "${GUEST_TIMEOUT:-300}" "${boot[@]}" </dev/null >"$run/qemu.log" 2>&1 & guest=$!
fi
wait "$guest" || ended=$?
guest=""
if ((ended == 124 || ended == 137)); then
    kill "${copies[@]}" 2>/dev/null || true
    echo "guest: timed out after ${GUEST_TIMEOUT:-300} s ($kind)" >&2
    exit 124
fi
wait "${copies[@]}" || true
if [[ -s $run/status ]]; then exit "$(tr -dc 0-9 <"$run/status")"; fi
cat "$run/qemu.log" 2>/dev/null >&2 || true
tail -n 30 "$run/console" >&2 2>/dev/null || true
die "it ended without an exit status ($kind, $ended)"
