"""The command line `eep`: one module a command, found by the entry points `ephemeral_endpoints.commands`."""
