# Makes the file system of one container within new mount and process namespaces, then becomes its program.
#   container-setup.sh STATE DIRECTORY IDENTITY PATH MOUNT... -- NAME=VALUE... PROGRAM ARGUMENT...
# STATE is a directory of this container: `started` or `failed` appears in it, and `scratch` is mounted on.
# The machine's root is the lowest layer; what the container writes lies in memory and goes with it.
set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin
state=$1 directory=$2 identity=$3 search=$4
shift 4
trap 'printf "%s" "setting up the container failed; its log tells why" >"$root$state/failed"' EXIT
root=
mount -t tmpfs -o mode=0755 tmpfs "$state/scratch"
cd "$state/scratch"
mkdir upper work root
mount -t overlay overlay -o "lowerdir=/,upperdir=$PWD/upper,workdir=$PWD/work" root
mkdir -p root/.machine root/proc root/dev root/sys root/tmp
cd root
pivot_root . .machine
root=/.machine
cd /
mount -t proc proc /proc
mount --rbind /.machine/sys /sys
mount -t tmpfs -o mode=0755 tmpfs /dev
for device in null zero full random urandom tty; do
    : >"/dev/$device"
    mount --bind "/.machine/dev/$device" "/dev/$device"
done
mkdir /dev/pts /dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
ln -s pts/ptmx /dev/ptmx
ln -s /proc/self/fd /dev/fd
ln -s /proc/self/fd/0 /dev/stdin
ln -s /proc/self/fd/1 /dev/stdout
ln -s /proc/self/fd/2 /dev/stderr
mount -t tmpfs -o mode=1777 tmpfs /tmp
number=0
while [ "$1" != -- ]; do
    case $1 in
    overlay) # LOWER TARGET: seen at TARGET, and written to in memory
        number=$((number + 1))
        scratch=/.machine$state/scratch
        mkdir -p "$3" "$scratch/upper$number" "$scratch/work$number"
        chmod --reference="/.machine$2" "$scratch/upper$number"
        if [ -n "$(ls -A "$3")" ]; then lower=/.machine$2:$3; else lower=/.machine$2; fi
        mount -t overlay overlay -o "lowerdir=$lower,upperdir=$scratch/upper$number,workdir=$scratch/work$number" "$3"
        shift 3 ;;
    bind) # SOURCE TARGET ro|rw
        if [ -d "/.machine$2" ]; then
            mkdir -p "$3"
        elif [ ! -f "$3" ] || [ -L "$3" ]; then
            rm -f "$3"
            mkdir -p "${3%/*}/"
            : >"$3"
        fi
        mount --bind "/.machine$2" "$3"
        [ "$4" = rw ] || mount -o remount,bind,ro "$3"
        shift 4 ;;
    esac
done
shift
mkdir -p "$directory"
program=
for word; do
    case $word in *=*) ;; *) program=$word; break ;; esac
done
trap - EXIT
if ! (cd "$directory" && PATH=$search command -v -- "$program" >/dev/null); then
    printf 'exec: "%s": executable file not found in $PATH' "$program" >"/.machine$state/failed"
    exit 128
fi
: >"/.machine$state/started"
umount -l /.machine
rmdir /.machine
# A shell ignores these two on behalf of what it starts beside itself.
set -- env -i --default-signal=INT,QUIT -C "$directory" "$@"
case $identity in
-) exec "$@" ;;
*) exec setpriv --pdeathsig KILL --reuid "${identity%:*}" --regid "${identity#*:}" --clear-groups "$@" ;;
esac
