#!/bin/sh
# node.sh STATE NODE: the first process of a node. `unshare` has given it network, mount and PID
# namespaces of its own, so that what the node's daemons mount, listen on, route and write to /run
# is the node's alone, and all of it is gone with this process.
set -eu
state=$1 node=$2

read -r pid _ < /proc/self/stat # /proc is still the host's: this is our PID as the host sees it

# While /run is the host's, `mount` shall write nothing there (--no-mtab).
mount --no-mtab --make-rprivate / # nothing that we mount reaches the host
mount --no-mtab --make-rshared /  # but a volume mounted in the node reaches the pods that share it
mount --no-mtab -t proc proc /proc

mount --no-mtab -t tmpfs node /run
mount -t tmpfs node /var/log
mkdir -p "/run/lib/${state##*/}" # an empty /var/lib but for our own state
mount --bind "$state" "/run/lib/${state##*/}"
mount --rbind /run/lib /var/lib
# where the kubelet's cAdvisor looks for it; without it, metrics do not name their containers
mkdir -p /run/containerd
ln -s "$state/$node/containerd.sock" /run/containerd/containerd.sock

# A kubelet sets these for the whole kernel and stops if it cannot: let it set a copy.
for key in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops \
  kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
  mkdir -p "/run/sys/${key%/*}"
  cat "/proc/sys/$key" > "/run/sys/$key"
  mount --bind "/run/sys/$key" "/proc/sys/$key"
done

ip link set lo up
echo "$pid" > "$state/$node.pid" # last: the node is ready to be joined
exec "$state/bin/pause"
