"""Drivers that let an OpenStack run without hypervisor, agents and LVM."""
