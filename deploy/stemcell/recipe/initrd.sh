#!/bin/busybox sh
# The first process: finds the root by the UUID that the kernel was told, and
# goes there.
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
for module in virtio_pci virtio_blk virtio_scsi sd_mod ata_piix ext4; do
  modprobe -q "$module"
done
uuid=
for word in $(cat /proc/cmdline); do
  case $word in
  root=UUID=*) uuid=${word#root=} ;;
  esac
done
tries=0
until device=$(findfs "$uuid" 2>/dev/null); do
  tries=$((tries + 1))
  if [ $tries = 300 ]; then
    echo "microbosh: no disk has the root $uuid; these are there:"
    cat /proc/partitions
    poweroff -f
  fi
  usleep 100000
done
mount -t ext4 -o ro "$device" /root
mount --move /dev /root/dev
umount /proc /sys
exec switch_root /root /sbin/init
