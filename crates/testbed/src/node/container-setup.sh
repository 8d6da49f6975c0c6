# Makes the file system of one container within new mount and process namespaces, then becomes its program.
#   container-setup.sh STATE DIRECTORY IDENTITY PATH ROOT ro|rw MOUNT... -- NAME=VALUE... PROGRAM ARGUMENT...
# STATE is a directory of this container: `started` or `failed` appears in it, and `scratch` is mounted on.
# ROOT is the lowest layer, `/` for the machine's own; what the container writes lies in memory and goes with it, if it may
# write at all.
set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin
state=$1 directory=$2 identity=$3 search=$4 lowest=$5 access=$6
shift 6
trap 'printf "%s" "setting up the container failed; its log tells why" >"$root$state/failed"' EXIT
root=
loader=
if [ "$lowest" != / ]; then
    needed=$(ldd "$(command -v mount)" "$(command -v ls)" "$(command -v setpriv)")
    loader=.$(readlink -f "$(printf '%s\n' "$needed" | sed -n 's|^[[:space:]]*\(/[^ ]*\) (.*|\1|p' | head -n 1)")
    libraries=$(printf '%s\n' "$needed" | sed -n 's|.* => \(/.*\)/[^/]* (.*|.\1|p' | sort -u | paste -s -d :)
fi
# A root of the image's own need not hold any program. The machine's are started by the machine's loader, and named from
# the working directory: that is the machine's root, and stays so when it is not mounted any more.
tool() {
    if [ -z "$loader" ]; then
        "$@"
        return
    fi
    for place in ./usr/bin ./usr/sbin ./bin ./sbin; do
        if [ -x "$place/$1" ]; then break; fi
    done
    name=$1
    shift
    "$loader" --library-path "$libraries" "$place/$name" "$@"
}
mount -t tmpfs -o mode=0755 tmpfs "$state/scratch"
cd "$state/scratch"
mkdir upper work root
chmod --reference="$lowest" upper
mount -t overlay overlay -o "lowerdir=$lowest,upperdir=$PWD/upper,workdir=$PWD/work" root
mkdir -p root/.machine root/proc root/dev root/sys root/tmp
cd root
pivot_root . .machine
root=/.machine
if [ -n "$loader" ]; then cd /.machine; else cd /; fi
tool mount -t proc proc /proc
tool mount --rbind /.machine/sys /sys
tool mount -t tmpfs -o mode=0755 tmpfs /dev
for device in null zero full random urandom tty; do
    : >"/dev/$device"
    tool mount --bind "/.machine/dev/$device" "/dev/$device"
done
tool mkdir /dev/pts /dev/shm
tool mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts /dev/pts
tool mount -t tmpfs -o mode=1777 tmpfs /dev/shm
tool ln -s pts/ptmx /dev/ptmx
tool ln -s /proc/self/fd /dev/fd
tool ln -s /proc/self/fd/0 /dev/stdin
tool ln -s /proc/self/fd/1 /dev/stdout
tool ln -s /proc/self/fd/2 /dev/stderr
[ -n "$loader" ] || mount -t tmpfs -o mode=1777 tmpfs /tmp
number=0
while [ "$1" != -- ]; do
    case $1 in
    overlay) # LOWER TARGET: seen at TARGET, and written to in memory
        number=$((number + 1))
        scratch=/.machine$state/scratch
        tool mkdir -p "$3" "$scratch/upper$number" "$scratch/work$number"
        tool chmod --reference="/.machine$2" "$scratch/upper$number"
        if [ -n "$(tool ls -A "$3")" ]; then lower=/.machine$2:$3; else lower=/.machine$2; fi
        tool mount -t overlay overlay -o "lowerdir=$lower,upperdir=$scratch/upper$number,workdir=$scratch/work$number" "$3"
        shift 3 ;;
    bind) # SOURCE TARGET ro|rw
        if [ -d "/.machine$2" ]; then
            tool mkdir -p "$3"
        elif [ ! -f "$3" ] || [ -L "$3" ]; then
            tool rm -f "$3"
            tool mkdir -p "${3%/*}/"
            : >"$3"
        fi
        tool mount --bind "/.machine$2" "$3"
        [ "$4" = rw ] || tool mount -o remount,bind,ro "$3"
        shift 4 ;;
    esac
done
shift
tool mkdir -p "$directory"
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
tool umount -l /.machine
tool rmdir /.machine
[ "$access" = rw ] || tool mount -o remount,bind,ro /
if [ -z "$loader" ]; then
    with='' from=
else
    with="$loader --library-path $libraries" from=./usr/bin/
fi
# A shell ignores these two on behalf of what it starts beside itself.
set -- $with "${from}env" -i --default-signal=INT,QUIT -C "$directory" "$@"
case $identity in
-) exec "$@" ;;
*)
    user=${identity%:*} group=${identity#*:}
    exec $with "${from}setpriv" --pdeathsig KILL --reuid "$user" --regid "$group" --clear-groups "$@" ;;
esac
