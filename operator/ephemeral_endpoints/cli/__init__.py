"""The command line `eep`."""
