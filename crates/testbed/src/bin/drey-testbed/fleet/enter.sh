# Runs an operator as a pod would see the world: names from the bench's name server, the account where pods have it.
#   enter.sh DIRECTORY PROGRAM ARGUMENT...
# DIRECTORY holds `resolv.conf` and `account/`. Within a mount namespace of its own; the program keeps the process id.
set -eu
directory=$1
shift
mount -t tmpfs -o mode=0755 tmpfs /run
mkdir -p /run/secrets/kubernetes.io/serviceaccount
cp "$directory"/account/* /run/secrets/kubernetes.io/serviceaccount/
resolver=$(readlink -m /etc/resolv.conf)
mkdir -p "${resolver%/*}"
[ -e "$resolver" ] || : >"$resolver"
mount --bind "$directory/resolv.conf" "$resolver"
exec "$@"
