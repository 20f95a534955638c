"""A month of a busy repository in seconds: the operator's pure core, with a fake clock, on a model of an account.

People and machines do what the ``story`` says; the ``leader`` decides with the operator's own functions, and the
``reaper`` with its own; ``promise`` judges what happened by the log alone, and ``bill`` what it cost.
"""
