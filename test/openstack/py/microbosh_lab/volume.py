"""A volume driver whose volumes and snapshots are sparse files in one folder.

At level api nobody reads them: the hypervisor is Nova's fake one. At level vm
they are plugged into qemu as local files, under a protocol of os-brick (gpfs)
that takes a path as it is. Snapshots are made without data.
"""
import os
import shutil

from cinder import interface
from cinder.image import image_utils
from cinder.volume import configuration
from cinder.volume import driver
from oslo_config import cfg

GIB = 1 << 30
OPTIONS = [cfg.StrOpt('sparse_folder', help='Where the files lie.'),
           cfg.StrOpt('sparse_attach', default='fake',
                      help='How os-brick is told to connect them.')]
cfg.CONF.register_opts(OPTIONS, group=configuration.SHARED_CONF_GROUP)


@interface.volumedriver
class SparseDriver(driver.VolumeDriver):
    VERSION = '1'

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.configuration.append_config_values(OPTIONS)
        self.folder = self.configuration.sparse_folder

    def check_for_setup_error(self):
        os.makedirs(self.folder, exist_ok=True)

    def _file(self, resource):
        return os.path.join(self.folder, resource.name)

    def _grow(self, resource, gib):
        with open(self._file(resource), 'ab') as f:
            if f.tell() < gib * GIB:
                f.truncate(gib * GIB)

    def _drop(self, resource):
        try:
            os.remove(self._file(resource))
        except FileNotFoundError:
            pass  # a repeated delete

    def create_volume(self, volume):
        self._grow(volume, volume.size)

    def extend_volume(self, volume, new_size):
        self._grow(volume, new_size)

    def delete_volume(self, volume):
        self._drop(volume)

    def create_snapshot(self, snapshot):
        # The data are not of interest, and holes would be filled by a copy.
        self._grow(snapshot, snapshot.volume_size)

    def delete_snapshot(self, snapshot):
        self._drop(snapshot)

    def create_volume_from_snapshot(self, volume, snapshot):
        self._grow(volume, volume.size)

    def create_cloned_volume(self, volume, src_vref):
        self._grow(volume, volume.size)

    def copy_image_to_volume(self, context, volume, image_service, image_id,
                             disable_sparse=False):
        image_utils.fetch_to_raw(context, image_service, image_id,
                                 self._file(volume), '1M', size=volume.size)
        self._grow(volume, volume.size)

    def ensure_export(self, context, volume):
        """Files are always there."""

    def create_export(self, context, volume, connector):
        """Files are always there."""

    def remove_export(self, context, volume):
        """Files are always there."""

    def initialize_connection(self, volume, connector):
        return {'driver_volume_type': self.configuration.sparse_attach,
                'data': {'name': volume.name,
                         'device_path': self._file(volume)}}

    def terminate_connection(self, volume, connector, **kwargs):
        """Nobody was connected."""

    def _update_volume_stats(self):
        disk = shutil.disk_usage(self.folder)
        self._stats = {
            'volume_backend_name': self.configuration.volume_backend_name,
            'vendor_name': 'microbosh', 'driver_version': self.VERSION,
            'storage_protocol': 'file', 'multiattach': False,
            'total_capacity_gb': disk.total / GIB,
            'free_capacity_gb': disk.free / GIB,
            'thin_provisioning_support': True, 'reserved_percentage': 0,
            'max_over_subscription_ratio': 10000,
            'online_extend_support': False,
        }
