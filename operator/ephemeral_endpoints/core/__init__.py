"""The pure core: names, desired state, plan, lifecycle and conditions. It does no I/O and reads no clock."""
