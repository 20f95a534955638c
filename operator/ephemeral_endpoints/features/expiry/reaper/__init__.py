"""The reaper: a Lambda function that deletes what has expired when no operator is left to do it.

It runs beside nothing but Python's standard library and the SDK of Lambda's runtime, and shares with the operator the
names and tags of resources and what they mean. ``bundle`` makes one file of all of it.
"""
