# Sourced by base and image. Everything is unpacked in memory, in a mount
# namespace of its own: it goes with the process, whatever ends it.
set -euo pipefail
export LC_ALL=C TZ=UTC PATH=/usr/sbin:/usr/bin:/sbin:/bin
umask 022

work=/mnt # ext4 remembers the place
mount -t tmpfs -o mode=0755,size=4g stemcell "$work"
root=$work/root
mkdir "$root"

# A tar of a folder that depends on nothing but what is in it.
pack() { # FOLDER FILE
  tar -C "$1" --sort=name --numeric-owner --mtime=@0 --xattrs --format=posix \
    --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime -cf "$2.new" .
  mv "$2.new" "$2"
}
