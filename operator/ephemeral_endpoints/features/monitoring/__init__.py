"""Monitoring of endpoints: log groups and alarms."""
