# pid 1 of a test host, in its own net, mount, pid, uts and ipc namespaces:
#   unshare … bash host-init.sh NAME PROJECT
# Everything it changes lives in these namespaces; when standard input ends (the
# test has ended, however), so does it, and the kernel removes all of it.
set -eu
name=$1 project=$2
read -r outer_pid _ </proc/self/stat # /proc is still the outer one

store=/media # of all directories the one that no program here needs
mount -t tmpfs -o mode=755 tmpfs $store
mkdir $store/project
mount --rbind "$project" $store/project

# A copy of the machine's files that can be wrecked freely.
for dir in etc usr var root home; do
  mkdir -p $store/$dir/upper $store/$dir/work
  chmod --reference=/$dir $store/$dir/upper
  mount -t overlay "host-$dir" -o lowerdir=/$dir,upperdir=$store/$dir/upper,workdir=$store/$dir/work /$dir
done
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -m 1777 /run/lock
mount -t tmpfs -o mode=1777 tmpfs /tmp
# The project may lie below a directory that has just been covered.
if [ ! -e "$project/package.json" ]; then
  mkdir -p "$project"
  mount --rbind $store/project "$project"
fi
mount -t proc proc /proc
mount -t sysfs sysfs /sys

mknod -m 666 $store/tun c 10 200
mkdir -p /dev/net
[ -e /dev/net/tun ] || : >/dev/net/tun
mount --bind $store/tun /dev/net/tun

hostname "$name"
printf '127.0.0.1 localhost\n::1 localhost\n127.0.1.1 %s\n' "$name" >/etc/hosts
rm -f /etc/resolv.conf /etc/teleport.yaml
echo "nameserver 198.51.100.1" >/etc/resolv.conf
printf 'passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n' >/etc/nsswitch.conf
ip link set lo up

echo "ready $outer_pid"
while read -r _; do :; done # bash reaps orphans meanwhile
