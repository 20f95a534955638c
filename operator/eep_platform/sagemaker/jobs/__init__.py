"""Training and Processing jobs: containers that read from S3, work below /opt/ml, and leave their results in S3.

Both kinds go the same way: a request becomes a plan, which is pure; the runner takes a plan through its states. The
layout, the limits and the signals are those of "Train a model" and "Process data" in the SageMaker developer guide.
"""
