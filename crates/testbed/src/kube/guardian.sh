# Takes a cluster away: its processes, its bridge, its network namespaces and its directory. Repeating it does no harm.
#
#   sh guardian.sh BRIDGE DIRECTORY <pipe
#
# It waits for the end of its standard input, which comes when the owner of the other end has died, in whatever way.
# The line `keep` ends it without any deed: the cluster is to outlive its owner.
# Processes are known by the mark in their environment, so that also those are found that were started by the others.
bridge=$1
directory=$2

while read -r word; do
    [ "$word" = keep ] && exit 0
done

# Somebody else was quicker, and the bridge's name may be another cluster's by now.
[ -d "$directory" ] || exit 0

marked() {
    grep --files-with-matches --null-data --line-regexp --fixed-strings --no-messages \
        "DREY_KUBE_CLUSTER=$directory" /proc/[0-9]*/environ | cut -d / -f 3
}

tries=200
pids=$(marked)
while [ -n "$pids" ] && [ "$tries" -gt 0 ]; do
    # Word by word.
    kill -KILL $pids 2>/dev/null
    sleep 0.02
    tries=$((tries - 1))
    pids=$(marked)
done

ip netns list | while read -r namespace _; do
    case $namespace in
        "$bridge"-*) ip netns delete "$namespace" ;;
    esac
done
if [ -e "/sys/class/net/$bridge" ]; then
    ip link delete "$bridge"
fi
rm -rf "$directory"
