# SPDX-License-Identifier: Apache-2.0 OR MIT
# shellcheck shell=bash disable=SC2034
# What usernic needs from Debian's packages, and how it gets there. Sourced, after stages.sh, by the scripts above.
#
# Nothing missing: one dpkg-query, no network. USERNIC_PACKAGES=skip trusts the machine and asks nobody.

PACKAGES_RUN=(
  g++ cmake ninja-build pkg-config
  libfmt-dev libspdlog-dev libcli11-dev libtomlplusplus-dev nlohmann-json3-dev
  libusb-1.0-0-dev libnl-3-dev libnl-route-3-dev liburing-dev libcap-ng-dev libseccomp-dev libboost-dev libboost-context-dev libbenchmark-dev
  iproute2 iputils-ping
)
PACKAGES_TEST=("${PACKAGES_RUN[@]}" libgtest-dev librapidcheck-dev clang-format python3 iperf3 socat tshark umockdev libumockdev-dev)
PACKAGES_PEERS=(dpdk-dev)  # what scripts/bench data-path is compared with
PACKAGES_COVERAGE=(gcovr)  # what scripts/check coverage counts with
# One of these, the best first: 22 knows function effects, both know thread-safety analysis and std::expected.
PACKAGES_CLANG=(clang-22 clang-19)
PACKAGES_CLANG_TOO=(libclang-rt-22-dev lld-22)  # with clang-22: the runtimes of sanitizers; its linker

# What the guest of tests/guest is made of: 115 MB to load, 140 MB on disk where there is nothing of it yet.
PACKAGES_GUEST=(qemu-system-x86 usbip)
PACKAGES_GUEST_KERNEL=(linux-image-6.12-amd64 linux-image-amd64)
# A kernel image wants one that makes initramfs; it comes first, else apt chooses one that brings half of systemd.
PACKAGES_GUEST_INITRAMFS=(tiny-initramfs initramfs-tools dracut)
PACKAGES_GUEST_SHELL=(busybox-static busybox)

# packages_missing NAME...: prints those that are not installed, one a line.
packages_missing() {
  local installed name
  installed=$(dpkg-query --show --showformat='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null)
  for name; do
    grep -qxF "installed $name" <<<"$installed" || echo "$name"
  done
}

# packages_offered NAME: do this machine's package sources have it?
packages_offered() {
  # apt-cache takes "g++" for a pattern and answers about others too.
  apt-cache policy "$1" 2>/dev/null |
    awk -v head="$1:" '/^[^ ]/ { ours = $0 == head } ours && /Candidate: [^(]/ { found = 1 } END { exit !found }'
}

# packages_as_root COMMAND...: as root, or by a sudo that asks no password.
packages_as_root() {
  if ((EUID == 0)); then "$@"; else sudo -n "$@"; fi
}

packages_update() {
  packages_as_root apt-get -qq -o DPkg::Lock::Timeout=120 update
}

packages_apt() {
  packages_as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq -y -o DPkg::Lock::Timeout=120 install --no-install-recommends "$@"
}

# Lists may be older than the archive: a refused install is tried once more with fresh ones.
packages_apt_twice() {
  packages_apt "$@" || { packages_update && packages_apt "$@"; }
}

packages_stop_unless_root() {
  ((EUID == 0)) || sudo -n true 2>/dev/null ||
    stop "Missing packages: $*. Installing them needs root or sudo without a password;" \
      "as root: apt-get install --no-install-recommends $*"
}

packages_update_stage() {
  stage "updating package lists" packages_update || stop "The package lists could not be updated; still missing: $*"
}

# packages_install NAME...: what is missing gets installed, or the script stops with a sentence that names it.
packages_install() {
  [[ ${USERNIC_PACKAGES:-} == skip ]] && return
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    stop "This machine has no apt-get; install what corresponds to Debian's packages $*," \
      "then set USERNIC_PACKAGES=skip and start again."
  fi
  local missing what
  mapfile -t missing < <(packages_missing "$@")
  ((${#missing[@]})) || return 0
  packages_stop_unless_root "${missing[@]}"
  packages_offered "${missing[0]}" || packages_update_stage "${missing[@]}"
  what="${#missing[@]} packages"
  ((${#missing[@]} == 1)) && what=${missing[0]}
  stage "installing $what" packages_apt_twice "${missing[@]}" ||
    stop "These packages could not be installed: ${missing[*]}"
}

# packages_install_one NAME...: the first of them that is there or can be had. False when there is none.
packages_install_one() {
  [[ ${USERNIC_PACKAGES:-} == skip ]] && return
  local name lists
  for name; do
    [[ -z $(packages_missing "$name") ]] && return
  done
  packages_stop_unless_root "$1"
  for lists in old new; do
    [[ $lists == new ]] && packages_update_stage "$1"
    for name; do
      packages_offered "$name" && packages_install "$name" && return
    done
  done
  say "This machine's package sources have none of: $* (Debian 12 has them in its main or its security archive)."
  return 1
}

# packages_install_guest: whatever kernel image of these is there already serves, so that no machine gets a new one to
# boot but where there is none, as in a container.
packages_install_guest() {
  packages_install "${PACKAGES_GUEST[@]}"
  packages_install_one "${PACKAGES_GUEST_SHELL[@]}"
  packages_install_one "${PACKAGES_GUEST_INITRAMFS[@]}"
  packages_install_one "${PACKAGES_GUEST_KERNEL[@]}"
}
