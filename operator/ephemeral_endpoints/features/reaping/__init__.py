"""Reaping: the reaper of a class where the operator makes it: function, rule, logs and alarms."""
