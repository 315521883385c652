#!/usr/bin/env bash
# Builds a kernel for the V4L2 tests, once; a second call finds it built.
#
#   build.sh uml CACHE      User Mode Linux from Debian's kernel source: runs anywhere, as an ordinary process (minutes)
#   build.sh qemu CACHE     Debian's stock kernel and a small initial file system, for KVM
#
# CACHE/uml or CACHE/qemu then holds the kernel, vivid and v4l2loopback-0.12.ko, -0.13.ko and -0.15.ko.
# Wants Debian 12 on amd64. Installs missing build tools where it is root, else names them.
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin
kind=$1 cache=$2 here=$(dirname "$(readlink -f "$0")")
stamp=1                                           # raise to have everybody build anew

say() { echo "guest kernel: $*" >&2; }
die() { say "$*"; exit 125; }

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9                                           # of two builds at once the second waits, and finds it done
[[ -f $cache/$kind/stamp-$stamp ]] && exit 0
rm -rf "${cache:?}/$kind" "$cache"/build.*
work=$(mktemp -d "$cache/build.XXXXXX")
trap 'rm -rf "$work"' EXIT
out=$work/out
mkdir "$out"

updated=
update_lists() { [[ $updated ]] || { updated=1; apt-get -o DPkg::Lock::Timeout=300 -qq update >&2 || say "apt-get update failed"; }; }

tools="kmod make binutils v4l-utils busybox-static"
[[ $kind == uml ]] && tools+=" gcc libc6-dev flex bison bc xz-utils" || tools+=" gcc-12 qemu-system-x86 cpio libelf1"
missing=()
for tool in $tools; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$tool" 2>/dev/null) == installed ]] || missing+=("$tool")
done
if ((${#missing[@]})); then
    [[ $(id -u) == 0 ]] || die "please install: ${missing[*]}"
    update_lists
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 -qq install -y --no-install-recommends \
        "${missing[@]}" >"$work/apt.log" 2>&1 </dev/null || { cat "$work/apt.log" >&2; die "apt-get install failed"; }
fi

download() {                                      # download FOLDER PACKAGE...: from the machine's own sources
    mkdir -p "$1"
    (cd "$1" && shift && apt-get -qq -o APT::Sandbox::User=root download "$@" >&2) && return
    update_lists
    (cd "$1" && shift && apt-get -qq -o APT::Sandbox::User=root download "$@" >&2)
}

download_from() {                                 # download_from SUITE FOLDER PACKAGE...: from another Debian suite
    local suite=$1 folder=$2 lists=$2.apt mirror
    shift 2
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null | grep -v security | head -1)
    [[ $mirror ]] || return 1
    mkdir -p "$folder" "$lists/lists/partial" "$lists/cache/archives/partial"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$lists/list"
    local options=(-qq -o "Dir::Etc::sourcelist=$lists/list" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::lists=$lists/lists"
        -o Dir::State::status=/dev/null -o "Dir::Cache=$lists/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none)
    apt-get "${options[@]}" update >&2 && (cd "$folder" && apt-get "${options[@]}" download "$@" >&2)
}

build_loopbacks() {                               # build_loopbacks KERNEL-TREE MAKE-ARGUMENT...
    local tree=$1 suite source version
    shift
    for suite in here bookworm-backports trixie; do      # 0.12, 0.13, 0.15
        if [[ $suite == here ]]; then download "$work/$suite" v4l2loopback-dkms
        else download_from "$suite" "$work/$suite" v4l2loopback-dkms || die "no v4l2loopback from $suite"; fi
        dpkg -x "$work/$suite"/v4l2loopback-dkms_*.deb "$work/$suite"
        source=$(echo "$work/$suite"/usr/src/v4l2loopback-*)
        version=$(cut -d. -f1,2 <<<"${source##*-}")
        make -s -C "$tree" "$@" M="$source" modules >"$work/make.log" 2>&1 || { cat "$work/make.log" >&2; die "v4l2loopback $version does not compile"; }
        strip --strip-debug -o "$out/v4l2loopback-$version.ko" "$source/v4l2loopback.ko"
    done
}

build_uml() {
    local tree=$work/linux release
    say "fetching the kernel's source (140 MB) and compiling it as User Mode Linux; this takes minutes, once"
    download "$work/kernel" linux-source-6.1
    dpkg-deb --fsys-tarfile "$work"/kernel/linux-source-*.deb | tar -x -C "$work" ./usr/src
    mkdir "$tree"                                 # every Kconfig and Makefile, but only the code that is used
    tar -xf "$work"/usr/src/linux-source-*.tar.xz -C "$tree" --strip-components=1 --exclude='*/Documentation/*.rst' \
        --exclude='*/drivers/gpu/*.[ch]' --exclude='*/drivers/net/*/*.[ch]' --exclude='*/sound/*.[ch]' \
        --exclude='*/arch/*/boot/dts/*' --exclude='*/drivers/infiniband/*.[ch]' --exclude='*/drivers/scsi/*.[ch]' \
        --exclude='*/drivers/staging/*.[ch]' --exclude='*/tools/testing/selftests/*.[ch]'
    make -s -C "$tree" ARCH=um KCONFIG_ALLCONFIG="$here/uml.config" allnoconfig >"$work/make.log" 2>&1 || { tail -20 "$work/make.log" >&2; die "the kernel cannot be configured"; }
    grep -q '^CONFIG_VIDEO_VIVID=m' "$tree/.config" || die "this kernel source has no vivid for User Mode Linux"
    make -s -C "$tree" ARCH=um -j"$(nproc)" linux modules >"$work/make.log" 2>&1 || { tail -40 "$work/make.log" >&2; die "the kernel does not compile"; }
    release=$(make -s -C "$tree" ARCH=um kernelrelease)
    strip -o "$out/linux" "$tree/linux"
    mkdir -p "$out/lib/modules/$release"
    find "$tree" -name '*.ko' | while read -r module; do strip --strip-debug -o "$out/lib/modules/$release/${module##*/}" "$module"; done
    touch "$out/lib/modules/$release"/modules.{order,builtin,builtin.modinfo}
    depmod -b "$out" "$release"
    build_loopbacks "$tree" ARCH=um
}

build_qemu() {
    local package release abi series root=$work/root initrd=$work/initrd module
    package() { apt-cache depends linux-image-amd64 2>/dev/null | awk '/Depends: linux-image-[0-9]/{print $2; exit}'; }
    package=$(package); [[ $package ]] || { update_lists; package=$(package); }
    [[ $package ]] || die "no linux-image-amd64 in the package lists"
    release=${package#linux-image-} abi=${package#linux-image-}; abi=${abi%-amd64}; series=${release%%.0-*}
    say "fetching $package and its headers"
    download "$work/kernel" "$package" "linux-headers-$release" "linux-headers-$abi-common" "linux-kbuild-$series"
    for module in "$work"/kernel/*.deb; do dpkg -x "$module" "$root"; done
    sed -i "s#include /usr/src#include $root/usr/src#" "$root/usr/src/linux-headers-$release/Makefile"
    build_loopbacks "$root/usr/src/linux-headers-$release"
    mkdir -p "$initrd"/{bin,dev,proc,sys,mnt,"lib/modules/$release"}
    cp /bin/busybox "$initrd/bin/busybox"
    depmod -b "$root" "$release"
    for module in virtio_pci virtio_console virtio_rng 9pnet_virtio 9p overlay vivid; do
        modprobe -C /dev/null -d "$root" -S "$release" --show-depends "$module" | awk '$1 == "insmod" {print $2}'
    done | sort -u | xargs -I{} cp {} "$initrd/lib/modules/$release/"
    cp "$root/lib/modules/$release"/modules.{builtin,builtin.modinfo,order} "$initrd/lib/modules/$release/"
    install -m 755 "$here/init_qemu" "$initrd/init"
    (cd "$initrd" && find . | cpio -o -H newc --quiet --owner=0:0) | gzip -1 >"$out/initrd.gz"
    cp "$root/boot/vmlinuz-$release" "$out/vmlinuz"
}

began=$SECONDS
"build_$kind"
touch "$out/stamp-$stamp"
mv "$out" "$cache/$kind"
say "built in $((SECONDS - began)) s: $(du -sh "$cache/$kind" | cut -f1) in $cache/$kind"
