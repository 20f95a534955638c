"""Telemetry of the operator: metrics, logs, and the summary of statuses behind them."""
